import { expect, test } from 'vitest'
import { KVM_RESOURCE, placeByMemory, requestedMemory } from '../../../src/controllers/vmi/placement.ts'
import type { Candidate } from '../../../src/controllers/vmi/placement.ts'
import type { Node } from '../../../src/kinds/core.ts'
import type { Vmi, VmiSpec } from '../../../src/kinds/kubevirt.ts'

const GIB = 1024n ** 3n
const EMULATION = { allowEmulation: true }

function vmi(spec: Partial<VmiSpec> = {}): Vmi {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { namespace: 'default', name: 'web', uid: 'u1', resourceVersion: '1', creationTimestamp: '' },
    spec: { domain: { devices: {}, memory: { guest: '1Gi' } }, ...spec },
  }
}

function candidate(
  name: string,
  change: Partial<Node> & { labels?: Record<string, string> } = {},
  requested = 0n,
): Candidate {
  const { labels, ...node } = change
  return {
    requestedBytes: requested,
    node: {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '', ...(labels && { labels }) },
      status: { allocatable: { memory: '4Gi', [KVM_RESOURCE]: '0' } },
      ...node,
    },
  }
}

const [small, large] = [candidate('b', {}, GIB), candidate('a', {}, 2n * GIB)]

test('the node whose guests asked for least memory is chosen, by name among equals', () => {
  expect(placeByMemory(vmi(), [large, small], EMULATION)).toEqual({ nodeName: 'b' })
  expect(placeByMemory(vmi(), [candidate('b'), candidate('a')], EMULATION)).toEqual({ nodeName: 'a' })
})

const ssd = candidate('a', { labels: { disk: 'ssd', size: '5' } })
const tainted = candidate('a', { spec: { taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] } })

function affinity(key: string, operator: string, values?: string[]): Partial<VmiSpec> {
  const matchExpressions = [{ key, operator, ...(values && { values }) }]
  const required = { nodeSelectorTerms: [{ matchExpressions }] }
  // Operators come from clients as text; the published type is an enum of them.
  return {
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } },
  } as Partial<VmiSpec>
}

test.each<[string, Partial<VmiSpec>, Candidate, boolean]>([
  ['a node selector that matches', { nodeSelector: { disk: 'ssd' } }, ssd, true],
  ['a node selector with another value', { nodeSelector: { disk: 'hdd' } }, ssd, false],
  ['a node selector on a missing label', { nodeSelector: { rack: '1' } }, ssd, false],
  ['a cordoned node', {}, candidate('a', { spec: { unschedulable: true } }), false],
  ['a node closed to guests', {}, candidate('a', { labels: { 'kubevirt.io/schedulable': 'false' } }), false],
  ['a taint nobody tolerates', {}, tainted, false],
  ['a taint tolerated by value', { tolerations: [{ key: 'gpu', value: 'yes' }] }, tainted, true],
  ['a taint with another value', { tolerations: [{ key: 'gpu', value: 'no' }] }, tainted, false],
  ['a taint that only has to exist', { tolerations: [{ key: 'gpu', operator: 'Exists' }] }, tainted, true],
  ['a toleration of everything', { tolerations: [{ operator: 'Exists' }] }, tainted, true],
  [
    'a toleration of another effect',
    { tolerations: [{ operator: 'Exists', effect: 'NoExecute' }] },
    tainted,
    false,
  ],
  [
    'a taint that is a preference',
    {},
    candidate('a', { spec: { taints: [{ key: 'x', effect: 'PreferNoSchedule' }] } }),
    true,
  ],
  ['affinity In', affinity('disk', 'In', ['ssd']), ssd, true],
  ['affinity In, other value', affinity('disk', 'In', ['hdd']), ssd, false],
  ['affinity NotIn', affinity('disk', 'NotIn', ['ssd']), ssd, false],
  ['affinity Exists', affinity('disk', 'Exists'), ssd, true],
  ['affinity DoesNotExist', affinity('disk', 'DoesNotExist'), ssd, false],
  ['affinity Gt', affinity('size', 'Gt', ['4']), ssd, true],
  ['affinity Lt', affinity('size', 'Lt', ['4']), ssd, false],
  ['affinity with an unknown operator', affinity('disk', 'Resembles', ['ssd']), ssd, false],
  ['more memory than is left', {}, candidate('a', {}, 4n * GIB), false],
  ['exactly the memory that is left', {}, candidate('a', {}, 3n * GIB), true],
])('%s', (_case, spec, node, expected) => {
  const choice = placeByMemory(vmi(spec), [node], EMULATION)
  expect('nodeName' in choice).toBe(expected)
})

test('without leave to emulate, a node without KVM is none', () => {
  const kvm = candidate('b', { status: { allocatable: { memory: '4Gi', [KVM_RESOURCE]: '1k' } } })
  expect(placeByMemory(vmi(), [small, kvm], { allowEmulation: false })).toEqual({ nodeName: 'b' })
  expect(placeByMemory(vmi(), [small], { allowEmulation: false })).toEqual({
    refusal: '0/1 nodes are available: 1 Insufficient devices.kubevirt.io/kvm',
  })
})

test.each<[string, Partial<VmiSpec>]>([
  [
    'required pod anti-affinity',
    {
      affinity: {
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'kubernetes.io/hostname' }],
        },
      },
    },
  ],
  [
    'topology spread constraints',
    {
      topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }],
    },
  ],
])('%s is refused rather than ignored', (_case, spec) => {
  const choice = placeByMemory(vmi(spec), [small], EMULATION)
  expect(choice).toMatchObject({ refusal: expect.stringMatching(/not supported yet/) })
})

test('a refusal counts the nodes by reason', () => {
  const nodes = [tainted, candidate('b', {}, 4n * GIB), candidate('c', {}, 4n * GIB)]
  expect(placeByMemory(vmi(), nodes, EMULATION)).toEqual({
    refusal: '0/3 nodes are available: 1 node(s) had untolerated taints, 2 Insufficient memory',
  })
  expect(placeByMemory(vmi(), [], EMULATION)).toEqual({ refusal: '0/0 nodes are available' })
})

test.each([
  [{ memory: { guest: '1Gi' } }, GIB],
  [{ memory: { guest: '1Gi' }, resources: { requests: { memory: '2Gi' } } }, 2n * GIB],
  [{ resources: { limits: { memory: '3Gi' } } }, 3n * GIB],
  [{}, 0n],
])('the memory asked for by %j is %s bytes', (domain, bytes) => {
  expect(requestedMemory({ spec: { domain: { devices: {}, ...domain } } })).toBe(bytes)
})
