import { expect, test } from 'vitest'
import { splitVcpus, TOPOLOGY_NAMES, vcpusCanBeSpread } from '../../src/instancetype/topology.ts'
import type { PreferenceSpec } from '../../src/kinds/instancetype.ts'

const preference = (
  preferredCPUTopology?: string,
  spreadOptions?: object,
  ratio?: number,
): PreferenceSpec => ({
  cpu: { ...(preferredCPUTopology && { preferredCPUTopology }), ...(spreadOptions && { spreadOptions }) },
  ...(ratio !== undefined && { preferSpreadSocketToCoreRatio: ratio }),
})

test.each<[string, number, PreferenceSpec | undefined, [number, number, number]]>([
  ['no preference', 4, undefined, [4, 1, 1]],
  ['one vCPU, whatever is preferred', 1, preference('cores'), [1, 1, 1]],
  ['sockets', 4, preference('sockets'), [4, 1, 1]],
  ['preferSockets', 4, preference('preferSockets'), [4, 1, 1]],
  ['cores', 4, preference('cores'), [1, 4, 1]],
  ['preferCores', 4, preference('preferCores'), [1, 4, 1]],
  ['threads', 4, preference('threads'), [1, 1, 4]],
  ['preferThreads', 4, preference('preferThreads'), [1, 1, 4]],
  ['any', 4, preference('any'), [4, 1, 1]],
  ['preferAny', 4, preference('preferAny'), [4, 1, 1]],
  ['spread, with its default ratio of 2', 6, preference('spread'), [3, 2, 1]],
  ['preferSpread', 6, preference('preferSpread'), [3, 2, 1]],
  ['spread with a ratio', 6, preference('spread', { ratio: 3 }), [2, 3, 1]],
  ['spread with the older member for the ratio', 8, preference('spread', undefined, 4), [2, 4, 1]],
  ['spread across cores and threads', 6, preference('spread', { across: 'CoresThreads' }), [1, 3, 2]],
  ['spread across all', 12, preference('spread', { across: 'SocketsCoresThreads', ratio: 3 }), [2, 3, 2]],
  ['spread across what nobody knows', 4, preference('spread', { across: 'x' }), [1, 1, 1]],
  ['what nobody knows', 4, preference('x'), [1, 1, 1]],
])('vCPUs are laid out by %s', (_name, guest, preferred, [sockets, cores, threads]) => {
  expect(splitVcpus(guest, preferred)).toEqual({ sockets, cores, threads })
})

test.each<[string, number, PreferenceSpec | undefined, number]>([
  ['VM-SPREAD-001', 3, preference('spread'), 1],
  ['VM-SPREAD-001', 4, preference('spread'), 0],
  ['VM-SPREAD-001 without a ratio that divides', 4, preference('spread', { ratio: 0 }), 1],
  ['VM-SPREAD-002', 3, preference('spread', { across: 'CoresThreads' }), 1],
  ['VM-SPREAD-002', 4, preference('spread', { across: 'CoresThreads' }), 0],
  ['VM-SPREAD-003', 6, preference('spread', { across: 'SocketsCoresThreads' }), 1],
  ['VM-SPREAD-003', 8, preference('spread', { across: 'SocketsCoresThreads' }), 0],
  ['another topology', 3, preference('cores'), 0],
])('%s: %i vCPUs can or cannot be spread', (_id, guest, preferred, count) => {
  expect([...vcpusCanBeSpread(guest, preferred)].map(({ field }) => field)).toEqual(
    count ? ['instancetype.spec.cpu.guest'] : [],
  )
})

test('there are ten names for topologies', () => {
  expect(TOPOLOGY_NAMES).toHaveLength(10)
})
