import { expect, test } from 'vitest'
import { placeByRules } from '../../../src/controllers/placement/placement.ts'
import { demandOf, KVM_RESOURCE } from '../../../src/controllers/placement/resources.ts'
import type { Candidate, PlacedGuest, Situation } from '../../../src/controllers/placement/situation.ts'
import type { Node } from '../../../src/kinds/core.ts'
import type { Vmi } from '../../../src/kinds/kubevirt.ts'

const EMULATION = { allowEmulation: true, cpuAllocationRatio: 10 }
const KVM = { allowEmulation: false, cpuAllocationRatio: 10 }

interface Given {
  name?: string
  namespace?: string
  labels?: Record<string, string>
}

function vmi(spec: object = {}, { name = 'web', namespace = 'default', labels }: Given = {}): Vmi {
  const metadata = { namespace, name, uid: name, resourceVersion: '1', creationTimestamp: '' }
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { ...metadata, ...(labels && { labels }) },
    spec: { domain: { devices: {}, memory: { guest: '1Gi' } }, ...spec },
  }
}

type NodeChange = Partial<Pick<Node, 'spec'>> & {
  labels?: Record<string, string>
  annotations?: Record<string, string>
  allocatable?: Record<string, string>
  unfit?: string
}

function candidate(name: string, change: NodeChange = {}): Candidate {
  const { labels, annotations, allocatable, spec, unfit } = change
  const metadata = { name, uid: name, resourceVersion: '1', creationTimestamp: '' }
  return {
    ...(unfit !== undefined && { unfit }),
    node: {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        ...metadata,
        labels: { 'kubernetes.io/hostname': name, ...labels },
        ...(annotations && { annotations }),
      },
      ...(spec && { spec }),
      status: { allocatable: { cpu: '4', memory: '4Gi', [KVM_RESOURCE]: '1k', ...allocatable } },
    },
  }
}

function situation(candidates: Candidate[], change: Partial<Situation> = {}): Situation {
  return {
    candidates,
    guests: [],
    needs: { bridges: [], volumeNodes: [] },
    namespaces: new Map(),
    config: EMULATION,
    ...change,
  }
}

const on = (nodeName: string, guest: Vmi): PlacedGuest => ({ nodeName, vmi: guest })
const filler = (name: string, memory: string) =>
  vmi({ domain: { devices: {}, memory: { guest: memory } } }, { name })

function chosen(wanted: Vmi, there: Situation): string {
  const choice = placeByRules(wanted, there)
  return 'nodeName' in choice ? choice.nodeName : choice.refusal
}

const none = (reasons: string, total = 1) => `0/${total} nodes are available: ${reasons}.`

test('the node with most memory left is chosen, by name among equals', () => {
  const guests = [on('a', filler('one', '2Gi')), on('b', filler('two', '1Gi'))]
  expect(chosen(vmi(), situation([candidate('a'), candidate('b')], { guests }))).toBe('b')
  expect(chosen(vmi(), situation([candidate('b'), candidate('a')]))).toBe('a')
})

const taint = { key: 'gpu', value: 'yes', effect: 'NoSchedule' }
const tainted = { spec: { taints: [taint] } }
const selection = (key: string, operator: string, values?: string[]) => ({
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key, operator, ...(values && { values }) }] }],
      },
    },
  },
})
const ssd = { labels: { disk: 'ssd', size: '5' } }
const kvmNode = {
  labels: {
    'virtgate.io/accelerator': 'kvm',
    'cpu-model.node.kubevirt.io/Haswell': 'true',
    'cpu-feature.node.kubevirt.io/aes': 'true',
    'machine-type.node.kubevirt.io/pc-q35-7.2': 'true',
    'kubernetes.io/arch': 'amd64',
  },
}
const cpu = (value: object) => ({ domain: { devices: {}, memory: { guest: '1Gi' }, cpu: value } })
const machine = (type: string) => ({ domain: { devices: {}, machine: { type } } })
const asks = (requests: object) => ({ domain: { devices: {}, resources: { requests } } })
const SELECTOR = "1 node(s) didn't match VMI's node affinity/selector"
const UNTOLERATED = '1 node(s) had untolerated taint {gpu: yes}'

test.each<[string, object, NodeChange, string | undefined]>([
  ['a node selector that matches', { nodeSelector: { disk: 'ssd' } }, ssd, undefined],
  ['a node selector with another value', { nodeSelector: { disk: 'hdd' } }, ssd, SELECTOR],
  ['a node selector on a missing label', { nodeSelector: { rack: '1' } }, ssd, SELECTOR],
  ['a cordoned node', {}, { spec: { unschedulable: true } }, '1 node(s) were unschedulable'],
  [
    'a cordoned node for who tolerates that',
    { tolerations: [{ key: 'node.kubernetes.io/unschedulable', operator: 'Exists' }] },
    { spec: { unschedulable: true } },
    undefined,
  ],
  [
    'a node closed to guests',
    { tolerations: [{ operator: 'Exists' }] },
    { labels: { 'kubevirt.io/schedulable': 'false' } },
    '1 node(s) were unschedulable',
  ],
  ['a node that is unfit', {}, { unfit: 'node(s) slept' }, '1 node(s) slept'],
  ['a taint nobody tolerates', {}, tainted, UNTOLERATED],
  ['a taint tolerated by value', { tolerations: [{ key: 'gpu', value: 'yes' }] }, tainted, undefined],
  ['a taint with another value', { tolerations: [{ key: 'gpu', value: 'no' }] }, tainted, UNTOLERATED],
  [
    'a taint that only has to exist',
    { tolerations: [{ key: 'gpu', operator: 'Exists' }] },
    tainted,
    undefined,
  ],
  ['a toleration of everything', { tolerations: [{ operator: 'Exists' }] }, tainted, undefined],
  [
    'a toleration of another effect',
    { tolerations: [{ operator: 'Exists', effect: 'NoExecute' }] },
    tainted,
    UNTOLERATED,
  ],
  ['NoExecute', {}, { spec: { taints: [{ ...taint, effect: 'NoExecute' }] } }, UNTOLERATED],
  [
    'a taint that is a preference',
    {},
    { spec: { taints: [{ ...taint, effect: 'PreferNoSchedule' }] } },
    undefined,
  ],
  ['affinity In', selection('disk', 'In', ['ssd']), ssd, undefined],
  ['affinity In, other value', selection('disk', 'In', ['hdd']), ssd, SELECTOR],
  ['affinity NotIn', selection('disk', 'NotIn', ['ssd']), ssd, SELECTOR],
  ['affinity Exists', selection('disk', 'Exists'), ssd, undefined],
  ['affinity DoesNotExist', selection('disk', 'DoesNotExist'), ssd, SELECTOR],
  ['affinity Gt', selection('size', 'Gt', ['4']), ssd, undefined],
  ['affinity Lt', selection('size', 'Lt', ['4']), ssd, SELECTOR],
  ['affinity with an unknown operator', selection('disk', 'Resembles', ['ssd']), ssd, SELECTOR],
  ['the architecture', { architecture: 'amd64' }, kvmNode, undefined],
  [
    'another architecture',
    { architecture: 'arm64' },
    kvmNode,
    "1 node(s) didn't have the architecture arm64",
  ],
  ['a machine it knows', machine('pc-q35-7.2'), kvmNode, undefined],
  [
    'a machine it does not',
    machine('pc-q35-99.0'),
    kvmNode,
    "1 node(s) didn't know the machine type pc-q35-99.0",
  ],
  ['a machine without version', machine('q35'), kvmNode, undefined],
  ['a CPU model it has', cpu({ model: 'Haswell' }), kvmNode, undefined],
  [
    'a CPU model it lacks',
    cpu({ model: 'EPYC' }),
    kvmNode,
    "1 node(s) didn't have cpu-model.node.kubevirt.io/EPYC",
  ],
  ['its own CPU model', cpu({ model: 'host-model' }), kvmNode, undefined],
  [
    'a feature it lacks',
    cpu({ features: [{ name: 'vmx' }] }),
    kvmNode,
    "1 node(s) didn't have cpu-feature.node.kubevirt.io/vmx",
  ],
  ['a feature it may lack', cpu({ features: [{ name: 'vmx', policy: 'optional' }] }), kvmNode, undefined],
  [
    'a feature that is forbidden',
    cpu({ features: [{ name: 'aes', policy: 'forbid' }] }),
    kvmNode,
    '1 node(s) had cpu-feature.node.kubevirt.io/aes, which the VMI forbids',
  ],
  ['a CPU model where guests are emulated', cpu({ model: 'EPYC' }), {}, undefined],
  ['a device nobody offers', asks({ 'example.org/gpu': '1' }), {}, '1 Insufficient example.org/gpu'],
  [
    'a device that is there',
    asks({ 'example.org/gpu': '1' }),
    { allocatable: { 'example.org/gpu': '1' } },
    undefined,
  ],
  ['more CPU than there is', asks({ cpu: '5' }), {}, '1 Insufficient cpu'],
  ['as much CPU as there is', asks({ cpu: '4' }), {}, undefined],
  [
    'more pinned CPUs than there are',
    cpu({ cores: 5, dedicatedCpuPlacement: true }),
    {},
    '1 Insufficient cpu',
  ],
  ['more shared vCPUs than CPUs', cpu({ cores: 40 }), {}, undefined],
  ['too many shared vCPUs', cpu({ cores: 41 }), {}, '1 Insufficient cpu'],
  [
    'too much of two resources',
    asks({ cpu: '5', memory: '5Gi' }),
    {},
    '1 Insufficient cpu, 1 Insufficient memory',
  ],
])('%s', (_case, spec, node, refusal) => {
  expect(chosen(vmi(spec), situation([candidate('a', node)]))).toBe(
    refusal === undefined ? 'a' : none(refusal),
  )
})

test('what QEMU takes beside a guest’s memory is part of what it needs', () => {
  const demand = demandOf(vmi(), EMULATION)
  const bytes = (demand.get('memory') ?? 0n) / 10n ** 9n
  expect(bytes).toBe(1024n ** 3n + 117n * 1024n ** 2n)
  const exact = { allocatable: { memory: String(bytes) } }
  expect(chosen(vmi(), situation([candidate('a', exact)]))).toBe('a')
  const short = { allocatable: { memory: String(bytes - 1n) } }
  expect(chosen(vmi(), situation([candidate('a', short)]))).toBe(none('1 Insufficient memory'))
})

test('without leave to emulate, each guest takes one of the node’s places with KVM', () => {
  const nodes = [
    candidate('a', { allocatable: { [KVM_RESOURCE]: '0' } }),
    candidate('b', { allocatable: { [KVM_RESOURCE]: '1' } }),
  ]
  expect(chosen(vmi(), situation(nodes, { config: KVM }))).toBe('b')
  const guests = [on('b', filler('one', '1Mi'))]
  expect(chosen(vmi(), situation(nodes, { config: KVM, guests }))).toBe(
    none('2 Insufficient devices.kubevirt.io/kvm', 2),
  )
})

test('bridges and volumes keep guests to the nodes that have them', () => {
  const nodes = [
    candidate('a', { annotations: { 'virtgate.io/bridges': 'br0,br1' } }),
    candidate('b', { annotations: { 'virtgate.io/bridges': '' } }),
  ]
  const bridges = ['br1']
  expect(chosen(vmi(), situation(nodes, { needs: { bridges, volumeNodes: [] } }))).toBe('a')
  expect(chosen(vmi(), situation(nodes.slice(1), { needs: { bridges, volumeNodes: [] } }))).toBe(
    none("1 node(s) didn't offer the bridge br1"),
  )
  const only = (name: string) => [
    { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [name] }] },
  ]
  expect(chosen(vmi(), situation(nodes, { needs: { bridges: [], volumeNodes: [only('b')] } }))).toBe('b')
  const apart = { needs: { bridges: [], volumeNodes: [only('a'), only('b')] } }
  expect(chosen(vmi(), situation(nodes, apart))).toBe(none('2 node(s) had volume node affinity conflict', 2))
})

test('a refusal counts the nodes by reason, in order', () => {
  const guests = [on('b', filler('one', '3500Mi')), on('c', filler('two', '3500Mi'))]
  const nodes = [candidate('a', tainted), candidate('b'), candidate('c')]
  expect(chosen(vmi(), situation(nodes, { guests }))).toBe(none(`${UNTOLERATED}, 2 Insufficient memory`, 3))
  expect(chosen(vmi(), situation([]))).toBe('0/0 nodes are available.')
})

test('a guest that moves is not its own neighbour, and takes no room twice', () => {
  const moving = filler('web', '3Gi')
  expect(chosen(moving, situation([candidate('a')], { guests: [on('a', moving)] }))).toBe('a')
})

const zones = [
  candidate('a', { labels: { zone: 'one' } }),
  candidate('b', { labels: { zone: 'one' } }),
  candidate('c', { labels: { zone: 'two' } }),
  candidate('d'),
]
const app = (name: string, namespace = 'default', spec: object = {}) =>
  vmi(spec, { name, namespace, labels: { app: 'db', set: name.slice(0, 1) } })
const term = (more: object = {}) => ({
  topologyKey: 'zone',
  labelSelector: { matchLabels: { app: 'db' } },
  ...more,
})
const near = (...terms: object[]) => ({
  affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
})
const far = (...terms: object[]) => ({
  affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
})
const namespaces = new Map([
  ['default', {}],
  ['other', { team: 'x' }],
])

test.each<[string, object, PlacedGuest[], string]>([
  ['near a guest in another node of its zone', near(term()), [on('c', app('db1'))], 'c'],
  ['near nobody', near(term()), [], none("4 node(s) didn't match pod affinity rules", 4)],
  [
    'near a guest of another namespace',
    near(term()),
    [on('c', app('db1', 'other'))],
    none("4 node(s) didn't match pod affinity rules", 4),
  ],
  [
    'near one of a namespace it names',
    near(term({ namespaces: ['other'] })),
    [on('c', app('db1', 'other'))],
    'c',
  ],
  [
    'near one of a namespace it selects',
    near(term({ namespaceSelector: { matchLabels: { team: 'x' } } })),
    [on('c', app('db1', 'other'))],
    'c',
  ],
  ['near one of any namespace', near(term({ namespaceSelector: {} })), [on('c', app('db1', 'other'))], 'c'],
  ['far from a guest in its zone', far(term()), [on('a', app('db1'))], 'c'],
  ['far, where a node has no zone', far(term()), [on('a', app('db1')), on('c', app('db2'))], 'd'],
  ['far from nobody', far(term({ labelSelector: undefined })), [on('a', app('db1'))], 'b'],
  [
    'a selector that cannot be read',
    far(term({ labelSelector: { matchExpressions: [{ key: 'app', operator: 'Like' }] } })),
    [on('a', app('db1'))],
    none(`4 node(s) couldn't be checked: the operator "Like" is none of In, NotIn, Exists, DoesNotExist`, 4),
  ],
])('%s', (_case, spec, guests, expected) => {
  const there = situation(zones, { guests, namespaces })
  expect(chosen(vmi(spec), there)).toBe(expected)
})

test('guests that want to be together can start with one, and stay together', () => {
  const first = app('db1', 'default', near(term()))
  const place = chosen(first, situation(zones))
  expect(place).toBe('a')
  expect(chosen(app('db2', 'default', near(term())), situation(zones, { guests: [on('c', first)] }))).toBe(
    'c',
  )
})

test('guests that are there already keep others away by their own rules', () => {
  const loner = vmi(far(term()), { name: 'loner' })
  expect(chosen(app('db1'), situation(zones.slice(0, 3), { guests: [on('a', loner)] }))).toBe('c')
  expect(chosen(app('db1'), situation(zones.slice(0, 2), { guests: [on('a', loner)] }))).toBe(
    none("2 node(s) didn't satisfy existing pods anti-affinity rules", 2),
  )
})

test('keys narrow a term to guests whose labels are as its own', () => {
  const guests = [on('a', app('x1')), on('c', app('y1'))]
  const same = near(term({ matchLabelKeys: ['set'] }))
  expect(chosen(app('y2', 'default', same), situation(zones, { guests }))).toBe('c')
  const other = near(term({ mismatchLabelKeys: ['set'] }))
  expect(chosen(app('y2', 'default', other), situation(zones, { guests }))).toBe('b')
})

const spread = (more: object = {}) => ({
  topologySpreadConstraints: [
    {
      maxSkew: 1,
      topologyKey: 'zone',
      whenUnsatisfiable: 'DoNotSchedule',
      labelSelector: { matchLabels: { app: 'db' } },
      ...more,
    },
  ],
})
const NOT_SPREAD = "node(s) didn't match pod topology spread constraints"

test.each<[string, object, PlacedGuest[], Candidate[], string]>([
  ['to the emptier zone', spread(), [on('a', app('db1'))], zones, 'c'],
  ['nowhere but in a zone', spread(), [], zones.slice(3), none(`1 ${NOT_SPREAD} (missing required label)`)],
  ['as far as the skew allows', spread({ maxSkew: 2 }), [on('c', app('db1'))], zones.slice(2, 3), 'c'],
  [
    'not beyond it',
    { ...spread(), nodeSelector: { zone: 'one' }, ...spread({ nodeAffinityPolicy: 'Ignore' }) },
    [on('a', app('db1'))],
    zones,
    none(`2 node(s) didn't match VMI's node affinity/selector, 2 ${NOT_SPREAD}`, 4),
  ],
  [
    'within the zones its affinity leaves',
    { ...spread(), nodeSelector: { zone: 'one' } },
    [on('a', app('db1'))],
    zones,
    'b',
  ],
  [
    'over as many zones as it demands',
    spread({ minDomains: 3 }),
    [on('a', app('db1')), on('c', app('db2'))],
    zones,
    none(`1 ${NOT_SPREAD} (missing required label), 3 ${NOT_SPREAD}`, 4),
  ],
  [
    'among its own labels',
    spread({ matchLabelKeys: ['set'] }),
    [on('a', app('x1')), on('c', app('d1'))],
    zones,
    'b',
  ],
])('guests are spread %s', (_case, spec, guests, nodes, expected) => {
  expect(chosen(app('db9', 'default', spec), situation(nodes, { guests }))).toBe(expected)
})

test.each<[string, object, string]>([
  ['none', {}, 'a'],
  [
    'preferred nodes',
    {
      affinity: {
        nodeAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            {
              weight: 1,
              preference: { matchExpressions: [{ key: 'zone', operator: 'In', values: ['two'] }] },
            },
          ],
        },
      },
    },
    'c',
  ],
  [
    'preferred neighbours',
    {
      affinity: {
        podAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: term() }],
        },
      },
    },
    'c',
  ],
  [
    'unwelcome neighbours',
    {
      affinity: {
        podAntiAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            {
              weight: 1,
              podAffinityTerm: term({ topologyKey: 'kubernetes.io/hostname', labelSelector: {} }),
            },
          ],
        },
      },
    },
    'd',
  ],
])('preferences decide between nodes that would do: %s', (_case, spec, expected) => {
  const small = (name: string) =>
    vmi({ domain: { devices: {}, memory: { guest: '64Mi' } } }, { name, labels: { app: 'db' } })
  // Most memory is left at a.
  const guests = [on('a', filler('plain', '1Mi')), on('c', small('db1')), on('b', filler('other', '2Gi'))]
  // And least at d, which has no guests.
  const nodes = [...zones.slice(0, 3), candidate('d', { allocatable: { memory: '1280Mi' } })]
  expect(chosen(vmi(spec), situation(nodes, { guests }))).toBe(expected)
})

test('a node that would rather have no guests is the last to get one', () => {
  const shy = candidate('a', { spec: { taints: [{ ...taint, effect: 'PreferNoSchedule' }] } })
  const guests = [on('b', filler('one', '2Gi'))]
  expect(chosen(vmi(), situation([shy, candidate('b')], { guests }))).toBe('b')
  expect(
    chosen(vmi({ tolerations: [{ operator: 'Exists' }] }), situation([shy, candidate('b')], { guests })),
  ).toBe('a')
})

test('constraints that are wishes prefer the emptier zone, and refuse nothing', () => {
  const wish = spread({ whenUnsatisfiable: 'ScheduleAnyway' })
  const guests = [on('a', app('db1'))]
  expect(chosen(app('db9', 'default', wish), situation(zones.slice(0, 3), { guests }))).toBe('c')
  expect(chosen(app('db9', 'default', wish), situation(zones.slice(0, 2), { guests }))).toBe('b')
})
