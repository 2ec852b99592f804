import { expect, test } from 'vitest'
import type { VmiSpec } from '../../src/kinds/kubevirt.ts'
import type { LimitRange, LimitRangeItem } from '../../src/kinds/quota.ts'
import { claimFaults, guestFaults } from '../../src/quota/limit-bounds.ts'
import { completeItem, withDefaults } from '../../src/quota/limit-range.ts'
import { claim, guestSpec, SMALL } from '../helpers/quotas.ts'

type Resources = VmiSpec['domain']['resources']

function range(...limits: LimitRangeItem[]): LimitRange {
  const metadata = {
    name: 'range',
    namespace: 'default',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
  }
  return { apiVersion: 'v1', kind: 'LimitRange', metadata, spec: { limits } }
}

const container = (item: Omit<LimitRangeItem, 'type'>): LimitRangeItem => ({ type: 'Container', ...item })

test('an item of containers is completed as Kubernetes does it', () => {
  const item = container({ max: { cpu: '4' }, min: { memory: '64Mi', cpu: '1' }, default: { memory: '1Gi' } })
  expect(completeItem(item)).toEqual({
    ...item,
    default: { cpu: '4', memory: '1Gi' },
    defaultRequest: { cpu: '4', memory: '1Gi' },
  })
  const least = container({ min: { cpu: '100m' } })
  expect(completeItem(least)).toEqual({ ...least, defaultRequest: { cpu: '100m' } })
  const pod: LimitRangeItem = { type: 'Pod', max: { cpu: '4' } }
  expect(completeItem(pod)).toEqual(pod)
})

const DEFAULTS = container({
  default: { cpu: '2', memory: '2Gi', 'ephemeral-storage': '1Gi' },
  defaultRequest: { cpu: '500m', memory: '1Gi' },
})

test.each<[string, VmiSpec['domain'], Resources]>([
  [
    'that says nothing gets requests and limits',
    { devices: {} },
    { requests: { cpu: '500m', memory: '1Gi' }, limits: { cpu: '2', memory: '2Gi' } },
  ],
  [
    'that says its size asks for just that',
    { devices: {}, cpu: { cores: 1 }, memory: { guest: '512Mi' } },
    { limits: { cpu: '2', memory: '2Gi' } },
  ],
  [
    'larger than the default limit has its own size for one',
    { devices: {}, cpu: { cores: 4 }, memory: { guest: '8Gi' } },
    { limits: { cpu: '4', memory: '8Gi' } },
  ],
  [
    'with CPUs of its own is limited to them',
    { devices: {}, cpu: { cores: 1, dedicatedCpuPlacement: true }, memory: { guest: '1Gi' } },
    { limits: { cpu: '1', memory: '2Gi' } },
  ],
  [
    'that says a limit gets no request below it',
    { devices: {}, resources: { limits: { cpu: '8' }, requests: { memory: '3Gi' } } },
    { requests: { memory: '3Gi' }, limits: { cpu: '8', memory: '3Gi' } },
  ],
])('a guest %s', (_what, domain, expected) => {
  const spec = { domain }
  const before = structuredClone(spec)
  expect(withDefaults(spec, [range(DEFAULTS)]).domain.resources).toEqual(expected)
  expect(spec).toEqual(before)
})

test('the first range that says something counts', () => {
  const other = container({ default: { cpu: '9' }, defaultRequest: { cpu: '9' } })
  const { domain } = withDefaults(guestSpec(), [range(container({ default: { cpu: '3' } })), range(other)])
  expect(domain.resources).toEqual({ requests: { cpu: '3' }, limits: { cpu: '3' } })
})

test('a guest that needs nothing stays the very same', () => {
  const spec = guestSpec(SMALL)
  expect(withDefaults(spec, [])).toBe(spec)
  expect(withDefaults(spec, [range({ type: 'Pod', max: { cpu: '1' } })])).toBe(spec)
})

const small = guestSpec({ ...SMALL, resources: { requests: { cpu: '1' }, limits: { cpu: '3' } } })

test.each<[string, LimitRangeItem, VmiSpec, string[]]>([
  ['minimum that holds', container({ min: { cpu: '1' } }), small, []],
  [
    'minimum above the request',
    container({ min: { cpu: '1500m' } }),
    small,
    ['minimum cpu usage per Container is 1500m, but request is 1'],
  ],
  [
    'minimum of what nobody can tell',
    container({ min: { memory: '1Gi' } }),
    guestSpec(),
    ['minimum memory usage per Container is 1Gi.  No request is specified'],
  ],
  ['maximum that holds', { type: 'Pod', max: { cpu: '3', memory: '1Gi' } }, small, []],
  [
    'maximum below the limit',
    { type: 'Pod', max: { cpu: '2' } },
    small,
    ['maximum cpu usage per Pod is 2, but limit is 3'],
  ],
  [
    'maximum below the size of a guest that says no limit',
    container({ max: { memory: '512Mi' } }),
    small,
    ['maximum memory usage per Container is 512Mi, but limit is 1Gi'],
  ],
  ['maximum of what guests need not have', container({ max: { 'ephemeral-storage': '1Gi' } }), small, []],
  ['ratio that holds', container({ maxLimitRequestRatio: { cpu: '3' } }), small, []],
  [
    'ratio that is too large',
    container({ maxLimitRequestRatio: { cpu: '2' } }),
    small,
    ['cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000'],
  ],
  ['item about claims', { type: 'PersistentVolumeClaim', max: { storage: '1' } }, small, []],
])('bounds: a %s', (_what, item, spec, faults) => {
  expect(guestFaults(spec, [range(item)])).toEqual(faults)
})

test.each([
  ['1Gi', []],
  ['10Gi', ['maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 10Gi']],
  ['1Mi', ['minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi']],
])('bounds: a claim of %s', (storage, faults) => {
  const item = { type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '5Gi' } }
  expect(claimFaults(claim('c', storage), [range(item)])).toEqual(faults)
})
