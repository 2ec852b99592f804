import { expect, test } from 'vitest'
import { applyInstancetype } from '../../src/instancetype/apply-instancetype.ts'
import type { InstancetypeSpec, PreferenceSpec } from '../../src/kinds/instancetype.ts'
import type { VmiTemplate } from '../../src/kinds/kubevirt.ts'

const small: InstancetypeSpec = { cpu: { guest: 2 }, memory: { guest: '2Gi' } }

function applied(
  instancetype: InstancetypeSpec,
  {
    spec = {},
    preference,
    annotations,
  }: { spec?: object; preference?: PreferenceSpec; annotations?: object } = {},
): VmiTemplate {
  const template = {
    ...(annotations && { metadata: { annotations } }),
    spec: { domain: { devices: {} }, ...spec },
  }
  applyInstancetype(template as VmiTemplate, instancetype, preference)
  return template as VmiTemplate
}

test('a guest gets vCPUs and memory, and keeps what it said about the rest', () => {
  const spec = {
    hostname: 'web',
    domain: {
      devices: { rng: {} },
      cpu: { model: 'host-model', maxSockets: 8 },
      memory: { maxGuest: '4Gi' },
    },
  }
  expect(applied(small, { spec })).toEqual({
    spec: {
      hostname: 'web',
      domain: {
        devices: { rng: {} },
        cpu: { model: 'host-model', maxSockets: 8, sockets: 2, cores: 1, threads: 1 },
        memory: { maxGuest: '4Gi', guest: '2Gi' },
      },
    },
  })
})

test('the preference says how vCPUs are laid out', () => {
  const { cpu } = applied(small, { preference: { cpu: { preferredCPUTopology: 'cores' } } }).spec.domain
  expect(cpu).toEqual({ sockets: 1, cores: 2, threads: 1 })
})

test('every member of an instance type reaches the guest', () => {
  const gpus = [{ name: 'g', deviceName: 'nvidia.com/gpu' }]
  const hostDevices = [{ name: 'h', deviceName: 'vendor.com/dev' }]
  const everything: InstancetypeSpec = {
    nodeSelector: { zone: 'a' },
    schedulerName: 'mine',
    cpu: {
      guest: 4,
      model: 'Haswell',
      dedicatedCPUPlacement: true,
      isolateEmulatorThread: false,
      numa: { guestMappingPassthrough: {} },
      realtime: { mask: '0-1' },
      maxSockets: 8,
    },
    memory: { guest: '4Gi', maxGuest: '8Gi', hugepages: { pageSize: '1Gi' } },
    ioThreadsPolicy: 'supplementalPool',
    ioThreads: { supplementalPoolThreadCount: 4 },
    launchSecurity: { sev: {} },
    gpus,
    hostDevices,
    annotations: { a: '1' },
  }
  const before = structuredClone(everything)
  expect(applied(everything, { annotations: { b: '2' } })).toEqual({
    metadata: { annotations: { a: '1', b: '2' } },
    spec: {
      nodeSelector: { zone: 'a' },
      schedulerName: 'mine',
      domain: {
        cpu: {
          model: 'Haswell',
          dedicatedCpuPlacement: true,
          isolateEmulatorThread: false,
          numa: { guestMappingPassthrough: {} },
          realtime: { mask: '0-1' },
          maxSockets: 8,
          sockets: 4,
          cores: 1,
          threads: 1,
        },
        memory: { guest: '4Gi', maxGuest: '8Gi', hugepages: { pageSize: '1Gi' } },
        ioThreadsPolicy: 'supplementalPool',
        ioThreads: { supplementalPoolThreadCount: 4 },
        launchSecurity: { sev: {} },
        devices: { gpus, hostDevices },
      },
    },
  })
  expect(everything).toEqual(before)
})

test.each<[string, number, string | undefined]>([
  ['2Gi', 0, undefined],
  ['2Gi', 50, '1Gi'],
  ['1Gi', 100, '0'],
  ['128Mi', 15, '114085072'],
  ['2G', 50, '1000000000'],
])('of %s overcommitted by %i%% is asked of the node: %s', (guest, overcommitPercent, memory) => {
  const { resources } = applied({ cpu: { guest: 1 }, memory: { guest, overcommitPercent } }).spec.domain
  expect(resources?.requests?.memory).toBe(memory)
})
