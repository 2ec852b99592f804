import { expect, test } from 'vitest'
import { requirementsAreMet } from '../../src/instancetype/requirements.ts'
import type { InstancetypeSpec, PreferenceSpec } from '../../src/kinds/instancetype.ts'
import type { VmiSpec } from '../../src/kinds/kubevirt.ts'

const CPU = 'spec.template.spec.domain.cpu'
const cpu = (guest: number, preferredCPUTopology?: string, across?: string): PreferenceSpec => ({
  requirements: { cpu: { guest } },
  ...(preferredCPUTopology && {
    cpu: { preferredCPUTopology, ...(across && { spreadOptions: { across } }) },
  }),
})
const memory = (guest: string): PreferenceSpec => ({ requirements: { memory: { guest } } })
const twos = { cpu: { sockets: 2, cores: 2, threads: 2 } }
const instancetype: InstancetypeSpec = { cpu: { guest: 2 }, memory: { guest: '2Gi' } }

const unmet = (domain: object, preference?: PreferenceSpec, type?: InstancetypeSpec) => {
  const spec = { architecture: 'amd64', domain: { devices: {}, ...domain } } as VmiSpec
  return [...requirementsAreMet(spec, { preference, instancetype: type })]
}

test.each<[string, object, PreferenceSpec, InstancetypeSpec | undefined, string]>([
  ['VM-REQ-001', {}, cpu(3), instancetype, 'spec.instancetype'],
  ['VM-REQ-002', {}, cpu(1), undefined, CPU],
  ['VM-REQ-003', twos, cpu(3, 'threads'), undefined, `${CPU}.threads`],
  ['VM-REQ-004', twos, cpu(3, 'preferCores'), undefined, `${CPU}.cores`],
  ['VM-REQ-005', twos, cpu(3), undefined, `${CPU}.sockets`],
  ['VM-REQ-006', twos, cpu(5, 'spread'), undefined, `${CPU}.sockets, ${CPU}.cores`],
  ['VM-REQ-007', twos, cpu(5, 'spread', 'CoresThreads'), undefined, `${CPU}.cores, ${CPU}.threads`],
  [
    'VM-REQ-008',
    twos,
    cpu(9, 'preferSpread', 'SocketsCoresThreads'),
    undefined,
    `${CPU}.sockets, ${CPU}.cores, ${CPU}.threads`,
  ],
  ['spread across what nobody knows', twos, cpu(1, 'spread', 'x'), undefined, ''],
  ['VM-REQ-009', twos, cpu(9, 'any'), undefined, `${CPU}.cores, ${CPU}.sockets, ${CPU}.threads`],
  ['VM-REQ-010', {}, memory('3Gi'), instancetype, 'spec.instancetype'],
  [
    'VM-REQ-010',
    { memory: { guest: '1Gi' } },
    memory('1025Mi'),
    undefined,
    'spec.template.spec.domain.memory',
  ],
  ['VM-REQ-010', {}, memory('1'), undefined, 'spec.template.spec.domain.memory'],
  [
    'VM-REQ-011',
    {},
    { requirements: { architecture: 'arm64' } },
    undefined,
    'spec.template.spec.architecture',
  ],
])('%s: a requirement that is not met is told', (_id, domain, preference, type, field) => {
  expect(unmet(domain, preference, type)).toEqual([
    { reason: 'FieldValueNotFound', field, message: expect.any(String) },
  ])
})

test.each<[string, object, PreferenceSpec, InstancetypeSpec | undefined]>([
  ['no preference requires anything', {}, {}, undefined],
  ['VM-REQ-001', {}, cpu(2), instancetype],
  ['VM-REQ-003', twos, cpu(2, 'threads'), undefined],
  ['VM-REQ-005', twos, cpu(2), undefined],
  ['VM-REQ-006', twos, cpu(4, 'spread'), undefined],
  ['VM-REQ-009', twos, cpu(8, 'any'), undefined],
  ['VM-REQ-010', { memory: { guest: '1Gi' } }, memory('1024Mi'), undefined],
  ['VM-REQ-010', {}, memory('2Gi'), instancetype],
  ['VM-REQ-011', {}, { requirements: { architecture: 'amd64' } }, undefined],
])('%s: a requirement that is met is not told', (_id, domain, preference, type) => {
  expect(unmet(domain, preference, type)).toEqual([])
})

test('of several the first is told', () => {
  const preference: PreferenceSpec = {
    requirements: { cpu: { guest: 9 }, memory: { guest: '9Gi' }, architecture: 'arm64' },
  }
  expect(unmet(twos, preference).map(({ field }) => field)).toEqual([`${CPU}.sockets`])
})
