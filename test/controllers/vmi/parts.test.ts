import { describe, expect, test } from 'vitest'
import { replaceOwned, withCondition } from '../../../src/controllers/conditions.ts'
import { GuestMemory } from '../../../src/controllers/vmi/memory.ts'
import { advance } from '../../../src/controllers/vmi/phases.ts'
import {
  placementOf,
  vmiIndexes,
  withoutPlacement,
  withPlacement,
} from '../../../src/controllers/vmi/placed.ts'
import { readyConditionOf } from '../../../src/controllers/vmi/ready.ts'
import { referencesOf } from '../../../src/controllers/vmi/references.ts'
import { mergeReport } from '../../../src/controllers/vmi/report.ts'
import type { Vmi, VmiPhase, VmiSpec, VmiStatus } from '../../../src/kinds/kubevirt.ts'
import type { Condition } from '../../../src/kinds/meta.ts'
import type { GuestReport } from '../../../src/rpc/actions.ts'

const NOW = '2026-01-01T00:00:00Z'

function vmi(status: VmiStatus = {}, deletionTimestamp?: string): Vmi {
  const metadata = {
    namespace: 'default',
    name: 'web',
    uid: 'u1',
    resourceVersion: '1',
    creationTimestamp: NOW,
  }
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { ...metadata, ...(deletionTimestamp !== undefined && { deletionTimestamp }) },
    spec: { domain: { devices: {} } },
    status,
  }
}

test.each<[VmiPhase | undefined, VmiPhase, VmiPhase | undefined, VmiPhase[]]>([
  [undefined, 'Pending', 'Pending', ['Pending']],
  [undefined, 'Scheduling', 'Scheduling', ['Pending', 'Scheduling']],
  ['Pending', 'Scheduling', 'Scheduling', ['Scheduling']],
  ['Scheduling', 'Running', 'Running', ['Scheduled', 'Running']],
  ['Pending', 'Failed', 'Failed', ['Failed']],
  ['Running', 'Succeeded', 'Succeeded', ['Succeeded']],
  ['Running', 'Scheduled', 'Running', []],
  ['Running', 'Running', 'Running', []],
  ['Succeeded', 'Failed', 'Succeeded', []],
  ['Failed', 'Running', 'Failed', []],
])('from %s, asked for %s, a VMI is %s', (from, to, phase, passed) => {
  const after = advance(vmi(from && { phase: from }), to, NOW)
  expect(after.status?.phase).toBe(phase)
  expect((after.status?.phaseTransitionTimestamps ?? []).map(({ phase }) => phase)).toEqual(passed)
})

const placed: VmiStatus = { activePods: { u1: 'node-a' } }
const paused: Condition[] = [{ type: 'Paused', status: 'True' }]

test.each<[string, Vmi, boolean, string | undefined, string]>([
  ['no node has it', vmi({ phase: 'Pending' }), false, undefined, 'PodNotExists'],
  ['it is being deleted', vmi({ ...placed, phase: 'Running' }, NOW), false, undefined, 'PodTerminating'],
  ['it has ended', vmi({ ...placed, phase: 'Failed' }), false, undefined, 'PodTerminating'],
  ['its node is away', vmi({ ...placed, phase: 'Running' }), true, undefined, 'NodeNotReady'],
  ['it does not run yet', vmi({ ...placed, phase: 'Scheduling' }), false, undefined, 'GuestNotRunning'],
  [
    'it is paused',
    vmi({ ...placed, phase: 'Running', conditions: paused }),
    false,
    undefined,
    'ReadinessGatesNotReady',
  ],
])('a guest is not ready when %s', (_case, guest, nodeAway, progress, reason) => {
  expect(readyConditionOf(guest, { nodeAway, progress })).toMatchObject({ status: 'False', reason })
})

test('a running guest is ready', () => {
  const guest = vmi({ ...placed, phase: 'Running' })
  expect(readyConditionOf(guest, { nodeAway: false, progress: undefined })).toEqual({
    type: 'Ready',
    status: 'True',
  })
})

describe('the node of a VMI', () => {
  test('is the one that was chosen, even before it has accepted', () => {
    expect(placementOf(withPlacement(vmi({ phase: 'Pending' }), 'node-a'))).toBe('node-a')
  })

  test('is none once nothing is left there, while nodeName still tells where it was', () => {
    const ended = withoutPlacement(vmi({ ...placed, phase: 'Failed', nodeName: 'node-a' }))
    expect(placementOf(ended)).toBeUndefined()
    expect(ended.status?.nodeName).toBe('node-a')
  })

  test('is that of its status should the choice have been lost while it lives', () => {
    expect(placementOf(vmi({ phase: 'Running', nodeName: 'node-a' }))).toBe('node-a')
  })

  test.each<[VmiStatus, string[]]>([
    [{ phase: 'Pending' }, ['']],
    [placed, ['node-a']],
    [{ phase: 'Failed' }, []],
  ])('%j is found under %j', (status, keys) => {
    expect(vmiIndexes.node(vmi(status))).toEqual(keys)
  })
})

function report(change: Partial<GuestReport>): GuestReport {
  const guest = { uid: 'u1', namespace: 'default', name: 'web' }
  return { guest, epoch: 1, phase: 'Running', conditions: [], status: {}, events: [], ...change }
}

test('a report replaces the node’s conditions and fields as a whole, and leaves those of others', () => {
  const before = vmi({
    ...placed,
    phase: 'Running',
    conditions: [
      { type: 'Paused', status: 'True' },
      { type: 'AgentConnected', status: 'True', reason: '', message: '', lastTransitionTime: 'then' },
      { type: 'DataVolumesReady', status: 'True' },
    ],
    interfaces: [{ name: 'default', ipAddress: '10.0.2.15' }],
    fsFreezeStatus: 'frozen',
    runtimeUser: 107,
  })
  const conditions: Condition[] = [
    { type: 'AgentConnected', status: 'True' },
    { type: 'Ready', status: 'True' },
  ]
  const after = mergeReport(
    before,
    'node-a',
    report({ conditions, status: { machine: { type: 'q35' } } }),
    NOW,
  )
  expect(after.status?.conditions).toEqual([
    { type: 'AgentConnected', status: 'True', reason: '', message: '', lastTransitionTime: 'then' },
    { type: 'DataVolumesReady', status: 'True' },
  ])
  expect(after.status).toMatchObject({ machine: { type: 'q35' }, runtimeUser: 107, nodeName: 'node-a' })
  expect(after.status).not.toHaveProperty('interfaces')
  expect(after.status).not.toHaveProperty('fsFreezeStatus')
})

test('a report from before the guest changed hands, or after its end, changes nothing', () => {
  const running = vmi({ ...placed, phase: 'Running' })
  expect(mergeReport(running, 'node-a', report({ epoch: 0, phase: 'Failed' }), NOW)).toBe(running)
  const ended = vmi({ ...placed, phase: 'Succeeded' })
  expect(mergeReport(ended, 'node-a', report({ phase: 'Running' }), NOW)).toBe(ended)
})

test('the reason of a report is kept with the phase and goes when there is none', () => {
  const failed = mergeReport(vmi(placed), 'node-a', report({ phase: 'Scheduled', reason: 'Pulling' }), NOW)
  expect(failed.status?.reason).toBe('Pulling')
  expect(mergeReport(failed, 'node-a', report({}), NOW).status).not.toHaveProperty('reason')
})

test('a condition keeps the time of its last transition until its status changes', () => {
  const [first] = withCondition([], { type: 'A', status: 'True', reason: 'One' }, 't1')
  const second = withCondition(first ? [first] : [], { type: 'A', status: 'True', reason: 'Two' }, 't2')
  expect(second).toMatchObject([{ reason: 'Two', lastTransitionTime: 't1' }])
  expect(withCondition(second, { type: 'A', status: 'False' }, 't3')).toMatchObject([
    { lastTransitionTime: 't3' },
  ])
  expect(withCondition(second, { type: 'A', status: 'True', reason: 'Two' }, 't4')).toBe(second)
})

test('owned conditions that are not wanted go, others stay', () => {
  const before: Condition[] = [
    { type: 'Mine', status: 'True' },
    { type: 'Yours', status: 'True' },
  ]
  expect(replaceOwned(before, (type) => type === 'Mine', [], NOW)).toEqual([
    { type: 'Yours', status: 'True' },
  ])
})

test('every field that names a Secret or a ConfigMap is found', () => {
  const spec: VmiSpec = {
    domain: {
      devices: {},
      firmware: { kernelBoot: { container: { image: 'k', imagePullSecret: 'kernel-pull' } } },
    },
    volumes: [
      { name: 'a', containerDisk: { image: 'i', imagePullSecret: 'disk-pull' } },
      { name: 'b', cloudInitNoCloud: { secretRef: { name: 'user' }, networkDataSecretRef: { name: 'net' } } },
      { name: 'c', cloudInitConfigDrive: { secretRef: { name: 'drive' } } },
      { name: 'd', secret: { secretName: 'plain', optional: true } },
      { name: 'e', configMap: { name: 'settings' } },
      { name: 'f', sysprep: { configMap: { name: 'answers' } } },
      { name: 'g', emptyDisk: { capacity: '1Gi' } },
    ],
    accessCredentials: [
      {
        sshPublicKey: {
          source: { secret: { secretName: 'keys' } },
          propagationMethod: { qemuGuestAgent: { users: ['root'] } },
        },
      },
    ],
  }
  expect(
    referencesOf(spec).map(({ kind, name, optional }) => `${kind} ${name}${optional ? '?' : ''}`),
  ).toEqual([
    'Secret kernel-pull',
    'Secret disk-pull',
    'Secret user',
    'Secret net',
    'Secret drive',
    'Secret plain?',
    'ConfigMap settings',
    'ConfigMap answers',
    'Secret keys',
  ])
})

test('guests that were just placed count on their node until the cache knows them', () => {
  const memory = new GuestMemory(0)
  // Nothing else of it is looked at here.
  const guest = (uid: string) => ({ metadata: { uid } }) as Vmi
  for (const [uid, nodeName] of Object.entries({ u1: 'node-a', u2: 'node-a', u3: 'node-b' })) {
    memory.choose(uid, nodeName, guest(uid))
  }
  const chosen = (known: string[]) =>
    memory.chosen((uid) => known.includes(uid)).map(({ vmi, nodeName }) => `${vmi.metadata.uid} ${nodeName}`)
  expect(chosen(['u1'])).toEqual(['u2 node-a', 'u3 node-b'])
  memory.forget('u2')
  memory.unchoose('u3')
  expect(chosen([])).toEqual(['u1 node-a'])
})

test('a guest’s events count as recorded once told; those from before this process do from the start', () => {
  const startedMs = Date.parse(NOW) + 500
  const event = (id: string, time: string) => ({ id, type: 'Normal' as const, reason: id, message: id, time })
  const old = event('old', '2025-12-31T23:59:59Z')
  const young = event('young', NOW)
  const memory = new GuestMemory(startedMs)
  expect(memory.newEvents('u1', [old, young])).toEqual([young])
  expect(memory.newEvents('u1', [old, young])).toEqual([])
  expect(memory.newEvents('u1', [young, event('next', NOW)]).map(({ id }) => id)).toEqual(['next'])
})
