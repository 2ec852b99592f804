import { expect, test } from 'vitest'
import {
  epochOf,
  holdingsOf,
  incomingOf,
  instanceOf,
  isHeldAt,
  placementOf,
  vmiIndexes,
  withHoldings,
  withoutPlacement,
  withPlacement,
} from '../../../src/controllers/vmi/placed.ts'
import type { Vmi, VmiStatus } from '../../../src/kinds/kubevirt.ts'

function vmi(status?: VmiStatus): Vmi {
  const metadata = {
    namespace: 'default',
    name: 'web',
    uid: 'u1',
    resourceVersion: '1',
    creationTimestamp: '',
  }
  const spec = { domain: { devices: {} } }
  return { apiVersion: 'v1', kind: 'VMI', metadata, spec, ...(status && { status }) }
}

test.each<[string, VmiStatus | undefined, [string, number][]]>([
  ['nothing is known', undefined, []],
  ['a node was chosen', { activePods: { u1: 'a' } }, [['a', 1]]],
  ['the guest has moved', { activePods: { 'u1.7': 'a' } }, [['a', 7]]],
  [
    'it is being moved',
    { activePods: { 'u1.10': 'b', 'u1.9': 'a' } },
    [
      ['a', 9],
      ['b', 10],
    ],
  ],
  ['pods are somebody else’s', { activePods: { p1: 'z' }, nodeName: 'a' }, [['a', 1]]],
  ['a key is no count', { activePods: { 'u1.x': 'z', 'u1.0': 'y', 'u1.1': 'x', 'u1.1.5': 'w' } }, []],
  ['it has ended, with something left', { phase: 'Failed', activePods: { 'u1.2': 'a' } }, [['a', 2]]],
  ['it has ended', { phase: 'Failed', nodeName: 'a' }, []],
])('where %s', (_what, status, expected) => {
  const subject = vmi(status)
  expect(holdingsOf(subject).map(({ nodeName, epoch }) => [nodeName, epoch])).toEqual(expected)
  expect(placementOf(subject)).toBe(expected[0]?.[0])
  expect(epochOf(subject)).toBe(expected[0]?.[1] ?? 1)
  expect(incomingOf(subject)?.nodeName).toBe(expected[1]?.[0])
})

test('holdings are written as they are read', () => {
  const both = [
    { nodeName: 'a', epoch: 1 },
    { nodeName: 'b', epoch: 2 },
  ]
  const moving = withHoldings(vmi(), both)
  expect(moving.status?.activePods).toEqual({ u1: 'a', 'u1.2': 'b' })
  expect(holdingsOf(moving)).toEqual(both)
  expect(vmiIndexes.node(moving)).toEqual(['a', 'b'])
  expect([isHeldAt(moving, 'u1', 'b'), isHeldAt(moving, 'u1', 'c'), isHeldAt(moving, 'u2', 'a')]).toEqual([
    true,
    false,
    false,
  ])
  expect(isHeldAt(undefined, 'u1', 'a')).toBe(false)
  expect(instanceOf('u1', 2)).toBe('u1.2')
  expect(holdingsOf(withPlacement(moving, 'c'))).toEqual([{ nodeName: 'c', epoch: 1 }])
  expect(holdingsOf(withoutPlacement(moving))).toEqual([])
})
