/** Contract: admission-others.md, 4 to 6. */
import { describe } from 'vitest'
import { kubeVirtUser } from '../../../src/admission/accounts.ts'
import { stored, testRules, type Edits, type Subject } from '../../helpers/rule-cases.ts'

const MIGRATION: Subject = {
  group: 'kubevirt.io',
  version: 'v1',
  resource: 'virtualmachineinstancemigrations',
  path: '/migration-validate-create',
  object: {
    kind: 'VirtualMachineInstanceMigration',
    apiVersion: 'kubevirt.io/v1',
    metadata: { name: 'm', namespace: 'default' },
    spec: { vmiName: 'a' },
  },
}
const guest = (status: object = { phase: 'Running' }) => stored('VirtualMachineInstance', 'a', { status })
const of = (...objects: Parameters<typeof stored>[2][]): Edits => ({
  '@objects': objects.map((object) => ({ ...object })),
})
const there = of(guest())
const fixed = (reason: string) =>
  of(guest({ conditions: [{ type: 'LiveMigratable', status: 'False', reason }] }))
const running = (phase: string) =>
  of(guest(), stored('VirtualMachineInstanceMigration', 'x', { status: { phase } }))

describe('new migrations', () => {
  const send = { 'spec.sendTo': { migrationID: 'x', connectURL: 'y' } }
  const receive = { 'spec.receive': { migrationID: 'x' } }
  const gate = { '@on': ['DecentralizedLiveMigration'] }
  testRules(MIGRATION, [
    ['MIG-001', { ...there, 'spec.vmiName': '' }, 'Required spec.vmiName', there],
    [
      'MIG-002',
      { ...there, 'spec.priority': 'user-triggered' },
      'Forbidden spec.migrationPriority',
      { ...there, 'spec.priority': 'x', '@user': { username: kubeVirtUser('controller').name } },
    ],
    ['MIG-003', {}, '400', there],
    ['MIG-004', of(guest({ phase: 'Succeeded' })), '400', there],
    [
      'MIG-005',
      fixed('DisksNotLiveMigratable'),
      '400',
      { ...fixed('DisksNotLiveMigratable'), ...gate, ...send },
    ],
    ['MIG-006', running('Running'), '400', running('Succeeded')],
    ['MIG-007', { ...there, ...send }, 'NotSupported', { ...there, ...gate, ...send }],
    [
      'MIG-008',
      { ...there, ...gate, ...send, 'spec.receive': { migrationID: 'z' } },
      'Invalid',
      { ...there, ...gate, ...send, ...receive },
    ],
  ])
})

describe('migrations under way', () => {
  const UPDATE = { ...MIGRATION, path: '/migration-validate-update' }
  const label = (value: string) => ({ 'metadata.labels': { 'kubevirt.io/vmi-name': value } })
  testRules(UPDATE, [
    [
      'MIGU-001',
      { '@old': { 'spec.vmiName': 'b' } },
      'NotSupported',
      { '@old': {}, 'status.phase': 'Running' },
    ],
    ['MIGU-002', { '@old': label('a') }, 'NotSupported', { '@old': label('a'), 'status.phase': 'Failed' }],
    [
      'MIGU-003',
      { '@old': label('a'), ...label('b') },
      'NotSupported',
      { '@old': label('a'), ...label('a') },
    ],
  ])
})

describe('policies', () => {
  const POLICY: Subject = {
    group: 'migrations.kubevirt.io',
    version: 'v1alpha1',
    resource: 'migrationpolicies',
    path: '/migration-policy-validate-create',
    object: {
      kind: 'MigrationPolicy',
      apiVersion: 'migrations.kubevirt.io/v1alpha1',
      metadata: { name: 'p' },
      spec: { selectors: {} },
    },
  }
  const gate = { '@on': ['MigrationStallDetection'] }
  const STALL = 'spec.experimental.stallDetector'
  const factor = (name: string, value: string) => ({ ...gate, [`${STALL}.${name}`]: value })
  testRules(POLICY, [
    [
      'MP-001',
      { 'spec.completionTimeoutPerGiB': -1 },
      'Invalid spec.completionTimeoutPerGiB',
      { 'spec.completionTimeoutPerGiB': 0 },
    ],
    [
      'MP-002',
      { 'spec.maxDowntimeMs': 300 },
      'Invalid spec.maxDowntimeMs',
      { 'spec.maxDowntimeMs': 300, '@old': { 'spec.maxDowntimeMs': 300 } },
    ],
    ['MP-003', { [STALL]: {} }, `Invalid ${STALL}`, { [STALL]: {}, ...gate }],
    ['MP-004', factor('ewmaAlpha', '0'), `Invalid ${STALL}.ewmaAlpha`, factor('ewmaAlpha', '1')],
    [
      'MP-005',
      factor('precopyPossibleFactor', '0.9'),
      `Invalid ${STALL}.precopyPossibleFactor`,
      factor('precopyPossibleFactor', '1.5'),
    ],
    [
      'MP-006',
      factor('patienceWindowDecayFactor', '1.1'),
      `Invalid ${STALL}.patienceWindowDecayFactor`,
      factor('patienceWindowDecayFactor', '0'),
    ],
    [
      'MP-007',
      factor('completionTimeoutFactor', '1.0001'),
      `Invalid ${STALL}.completionTimeoutFactor`,
      factor('completionTimeoutFactor', ' 1.001 '),
    ],
    [
      'MP-008',
      { 'spec.bandwidthPerMigration': '-1Mi' },
      'Invalid spec.bandwidthPerMigration',
      { 'spec.bandwidthPerMigration': '1Mi' },
    ],
  ])
})
