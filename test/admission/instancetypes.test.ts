import { expect, test } from 'vitest'
import {
  CLUSTER_INSTANCETYPES,
  CLUSTER_PREFERENCES,
  INSTANCETYPES,
  PREFERENCES,
} from '../../src/kinds/table.ts'
import { causesOf, makeAdmission, requestOf } from '../helpers/admission.ts'

const BOTH = [INSTANCETYPES, CLUSTER_INSTANCETYPES]
const PREFERRED = [PREFERENCES, CLUSTER_PREFERENCES]
const PERCENT = 'spec.memory.overcommitPercent'
const ACROSS = 'spec.cpu.spreadOptions.across'
const RATIO = 'spec.cpu.spreadOptions.ratio'

const review = (
  kind: (typeof BOTH)[number] | (typeof PREFERRED)[number],
  spec: object,
  operation: 'CREATE' | 'UPDATE',
) => makeAdmission().review(requestOf(kind, { spec }, { operation }))

test.each([
  ['IT-001', { memory: { guest: '1Gi', overcommitPercent: -1 } }, [`Invalid ${PERCENT}`]],
  ['IT-001', { memory: { guest: '1Gi', overcommitPercent: 101 } }, [`Invalid ${PERCENT}`]],
  ['IT-001', { memory: { guest: '1Gi', overcommitPercent: 100 } }, []],
  ['IT-002', { memory: { overcommitPercent: 15, hugepages: {} } }, [`Invalid ${PERCENT}`]],
  ['IT-002', { memory: { overcommitPercent: 0, hugepages: {} } }, []],
  [
    'both',
    { memory: { overcommitPercent: 200, hugepages: {} } },
    [`Invalid ${PERCENT}`, `Invalid ${PERCENT}`],
  ],
  ['none', { cpu: { guest: 0 }, memory: { guest: '0' } }, []],
  ['none', {}, []],
])('%s: instance types with %j', async (_id, spec, causes) => {
  for (const kind of BOTH) {
    expect(await causesOf(review(kind, spec, 'CREATE'))).toEqual(causes)
    expect(await causesOf(review(kind, spec, 'UPDATE'))).toEqual(causes)
  }
})

test('IT-003: launch security belongs to preferences now, and that is said', async () => {
  const { warnings } = await review(INSTANCETYPES, { launchSecurity: { sev: {} } }, 'CREATE')
  expect(warnings).toEqual([expect.stringMatching(/preferredLaunchSecurity/)])
  expect((await review(INSTANCETYPES, {}, 'CREATE')).warnings).toEqual([])
})

const cpu = (preferredCPUTopology: string, spreadOptions?: object) => ({
  cpu: { preferredCPUTopology, ...(spreadOptions && { spreadOptions }) },
})

test.each([
  ['PREF-001', cpu('x'), ['Invalid spec.cpu.preferredCPUTopology']],
  ['PREF-001', cpu('any'), []],
  ['PREF-002', cpu('spread', { across: 'x' }), [`Invalid ${ACROSS}`]],
  ['PREF-002', cpu('preferSpread', { across: '' }), [`Invalid ${ACROSS}`]],
  ['PREF-002', cpu('cores', { across: 'x' }), []],
  ['PREF-003', cpu('spread', { across: 'CoresThreads', ratio: 3 }), [`Invalid ${RATIO}`]],
  ['PREF-003', cpu('spread', { across: 'CoresThreads', ratio: 0 }), [`Invalid ${RATIO}`]],
  [
    'PREF-003',
    { ...cpu('spread', { across: 'CoresThreads' }), preferSpreadSocketToCoreRatio: 4 },
    [`Invalid ${RATIO}`],
  ],
  ['PREF-003', cpu('spread', { across: 'CoresThreads' }), []],
  ['PREF-003', cpu('spread', { across: 'SocketsCores', ratio: 3 }), []],
  ['none', {}, []],
])('%s: preferences with %j', async (_id, spec, causes) => {
  for (const kind of PREFERRED) {
    expect(await causesOf(review(kind, spec, 'CREATE'))).toEqual(causes)
    expect(await causesOf(review(kind, spec, 'UPDATE'))).toEqual(causes)
  }
})

test.each([
  ['preferSockets', 1],
  ['preferAny', 1],
  ['sockets', 0],
])('PREF-004: the topology %s gives %i warnings', async (topology, count) => {
  expect((await review(PREFERENCES, cpu(topology), 'CREATE')).warnings).toHaveLength(count)
})
