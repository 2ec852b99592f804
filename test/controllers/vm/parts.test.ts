import { expect, test } from 'vitest'
import { buildVmConditions } from '../../../src/controllers/vm/conditions.ts'
import { asksForPausedStart, trimRequests } from '../../../src/controllers/vm/requests.ts'
import { differingFields } from '../../../src/controllers/vm/revision.ts'
import { countStartFailure, startDelayMs, startWaitMs } from '../../../src/controllers/vm/start-failure.ts'
import { buildVmi, uuidFromName } from '../../../src/controllers/vm/template.ts'
import type { StateChangeRequest, Vm, Vmi, VmiStatus } from '../../../src/kinds/kubevirt.ts'
import type { Condition } from '../../../src/kinds/meta.ts'

const NOW = '2026-01-01T00:00:00Z'
const NOW_MS = Date.parse(NOW)
const STOP: StateChangeRequest = { action: 'Stop', uid: 'u1' }
const START: StateChangeRequest = { action: 'Start' }

function vmi(status: VmiStatus, deletionTimestamp?: string): Vmi {
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

const running = vmi({ phase: 'Running' })
const failed = vmi({ phase: 'Failed' })

test.each<[string, StateChangeRequest[], Vmi | undefined, StateChangeRequest[]]>([
  ['a Stop without VMI is done', [STOP, START], undefined, [START]],
  ['a Stop without UID is dropped', [{ action: 'Stop' }], running, []],
  ['a Stop of another VMI is dropped', [{ action: 'Stop', uid: 'other' }, START], running, [START]],
  ['a Stop of this VMI waits', [STOP, START], running, [STOP, START]],
  ['a Start with a live VMI is done', [START], running, []],
  ['a Start waits without VMI', [START], undefined, [START]],
  ['a Start waits while the VMI is being deleted', [START], vmi({ phase: 'Running' }, NOW), [START]],
  ['a Start waits while the VMI is final', [START], failed, [START]],
  ['one a pass', [{ action: 'Stop' }, { action: 'Stop' }], running, [{ action: 'Stop' }]],
  ['none', [], running, []],
])('CT-1: %s', (_case, requests, present, expected) => {
  expect(trimRequests(requests, present)).toEqual(expected)
})

test.each<[StateChangeRequest[], boolean]>([
  [[{ action: 'Start', data: { paused: 'true' } }], true],
  [[{ action: 'Start', data: { paused: 'false' } }], false],
  [[START], false],
  [[STOP, { action: 'Start', data: { paused: 'true' } }], false],
  [[], false],
])('CT-3: %j asks for a paused start: %s', (requests, expected) => {
  expect(asksForPausedStart(requests)).toBe(expected)
})

test.each([
  [1, 0, 10_000],
  [2, 0, 40_000],
  [3, 0, 90_000],
  [2, 0.5, 50_000],
  [6, 0, 300_000],
  [5, 0.999, 300_000],
])('CT-5: after %i failures, with chance %f, the delay is %i ms', (failures, random, delayMs) => {
  expect(startDelayMs(failures, random)).toBe(delayMs)
})

test('CT-5: a VMI that ended without having run counts once', () => {
  const once = countStartFailure(undefined, 'Always', failed, NOW_MS, 0)
  expect(once).toEqual({
    consecutiveFailCount: 1,
    lastFailedVMIUID: 'u1',
    retryAfterTimestamp: '2026-01-01T00:00:10Z',
  })
  expect(countStartFailure(once, 'Always', failed, NOW_MS + 5000, 0)).toBe(once)
  expect(startWaitMs(once, NOW_MS + 4000)).toBe(6000)
  expect(startWaitMs(once, NOW_MS + 40_000)).toBe(0)
})

test.each([
  ['a VMI runs', 'Always', running],
  [
    'it ended after having run',
    'Always',
    vmi({
      phase: 'Failed',
      phaseTransitionTimestamps: [{ phase: 'Running', phaseTransitionTimestamp: NOW }],
    }),
  ],
  ['the strategy is Manual', 'Manual', failed],
  ['the strategy is Halted', 'Halted', undefined],
] as const)('CT-5: the count is cleared when %s', (_case, strategy, present) => {
  const before = { consecutiveFailCount: 3, lastFailedVMIUID: 'u0' }
  expect(countStartFailure(before, strategy, present, NOW_MS, 0)).toBeUndefined()
})

test('CT-5: the count stays while there is no VMI, or one that starts', () => {
  const before = { consecutiveFailCount: 3, lastFailedVMIUID: 'u0' }
  expect(countStartFailure(before, 'Always', undefined, NOW_MS, 0)).toBe(before)
  expect(countStartFailure(before, 'Once', vmi({ phase: 'Scheduling' }), NOW_MS, 0)).toBe(before)
})

const vm: Vm = {
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: {
    namespace: 'default',
    name: 'web',
    uid: 'vm1',
    resourceVersion: '1',
    creationTimestamp: NOW,
    generation: 4,
  },
  spec: {
    runStrategy: 'Always',
    template: {
      metadata: { labels: { app: 'web' }, annotations: { note: 'x' } },
      spec: { domain: { devices: {}, cpu: { cores: 2 } } },
    },
  },
}

test('CT-7: the VMI is the template with owner, finalizer, generation, firmware UUID and revision', () => {
  const draft = buildVmi(vm, { paused: false })
  expect(draft).toEqual({
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: {
      namespace: 'default',
      name: 'web',
      labels: { app: 'web' },
      annotations: { note: 'x', 'kubevirt.io/vm-generation': '4' },
      ownerReferences: [
        {
          apiVersion: 'kubevirt.io/v1',
          kind: 'VirtualMachine',
          name: 'web',
          uid: 'vm1',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      finalizers: ['kubevirt.io/virtualMachineControllerFinalize'],
    },
    spec: {
      domain: {
        devices: {},
        cpu: { cores: 2 },
        firmware: { uuid: expect.any(String), serial: expect.any(String) },
      },
    },
    status: { virtualMachineRevisionName: 'revision-start-vm-vm1-4' },
  })
})

test('CT-7: a firmware UUID of the template is kept, and one made from the name never changes', () => {
  const own = structuredClone(vm)
  own.spec.template.spec.domain.firmware = { uuid: '5d307ca9-b3ef-428c-8861-06e72d69f223' }
  expect(buildVmi(own, { paused: false }).spec.domain.firmware?.uuid).toBe(
    '5d307ca9-b3ef-428c-8861-06e72d69f223',
  )
  expect(buildVmi(vm, { paused: false }).spec.domain.firmware?.uuid).toBe(
    'bada6885-d812-55f5-a1da-e3a058ceb80f',
  )
})

test('a UUID is made from a name as RFC 9562 says', () => {
  // The example of RFC 9562, A.4, with the namespace for DNS names.
  expect(uuidFromName('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'www.example.com')).toBe(
    '2ed6657d-e927-568b-95e1-2665a8aea6a2',
  )
})

test('fields that differ are named, one level into domain; the order of members does not count', () => {
  const before = {
    domain: { cpu: { cores: 1, sockets: 1 }, memory: { guest: '1Gi' } },
    hostname: 'a',
    volumes: [],
  }
  const after = {
    domain: { memory: { guest: '1Gi' }, cpu: { sockets: 1, cores: 2 } },
    volumes: [],
    subdomain: 'b',
  }
  expect(differingFields(before, after)).toEqual([
    'spec.template.spec.domain.cpu',
    'spec.template.spec.hostname',
    'spec.template.spec.subdomain',
  ])
})

const since = '2025-12-31T00:00:00Z'
const nothing = { before: [], vmi: undefined, failure: undefined, restartNeededFor: [], now: NOW }

function types(conditions: Condition[]): string[] {
  return conditions.map(({ type, status }) => `${type}=${status}`).sort()
}

test('without VMI conditions copied earlier are left alone, and Ready is False', () => {
  const before: Condition[] = [{ type: 'AgentConnected', status: 'True', lastTransitionTime: since }]
  const conditions = buildVmConditions({ ...nothing, before })
  expect(types(conditions)).toEqual(['AgentConnected=True', 'Ready=False'])
  expect(conditions.find(({ type }) => type === 'Ready')?.reason).toBe('VMINotExists')
})

test('with a VMI its conditions are copied, those it lacks are removed, and the VM’s own are kept', () => {
  const before: Condition[] = [
    { type: 'AgentConnected', status: 'True' },
    { type: 'LiveMigratable', status: 'True', reason: '', message: '', lastTransitionTime: since },
    { type: 'ManualRecoveryRequired', status: 'True' },
  ]
  const present = vmi({
    phase: 'Running',
    conditions: [
      { type: 'LiveMigratable', status: 'True' },
      { type: 'Paused', status: 'True' },
    ],
  })
  const conditions = buildVmConditions({ ...nothing, before, vmi: present })
  expect(types(conditions)).toEqual([
    'LiveMigratable=True',
    'ManualRecoveryRequired=True',
    'Paused=True',
    'Ready=False',
  ])
  expect(conditions.find(({ type }) => type === 'LiveMigratable')?.lastTransitionTime).toBe(since)
  expect(conditions.find(({ type }) => type === 'Paused')?.lastTransitionTime).toBe(NOW)
  expect(conditions.find(({ type }) => type === 'Ready')?.reason).toBe('VMIConditionMissing')
})

test('Ready is the VMI’s own', () => {
  const present = vmi({
    conditions: [{ type: 'Ready', status: 'False', reason: 'GuestNotRunning', message: 'm' }],
  })
  expect(buildVmConditions({ ...nothing, vmi: present })).toMatchObject([
    { type: 'Ready', reason: 'GuestNotRunning' },
  ])
})

test('Failure and RestartRequired come and go', () => {
  const failure = { reason: 'FailedCreate', message: 'quota' }
  const both = buildVmConditions({ ...nothing, failure, restartNeededFor: ['spec.a'] })
  expect(types(both)).toEqual(['Failure=True', 'Ready=False', 'RestartRequired=True'])
  expect(types(buildVmConditions({ ...nothing, before: both }))).toEqual(['Ready=False'])
})
