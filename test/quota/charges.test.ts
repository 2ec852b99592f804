import { array, assert, bigInt, constantFrom, property, tuple } from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { VmiSpec } from '../../src/kinds/kubevirt.ts'
import { EVACUATION_ANNOTATION } from '../../src/kinds/migration.ts'
import {
  addAmounts,
  formatAmount,
  ONE,
  printAmounts,
  readAmounts,
  readSums,
} from '../../src/quota/amounts.ts'
import { chargesOf, resourceCounted } from '../../src/quota/charges.ts'
import { podCharges } from '../../src/quota/pods.ts'
import { ALL, claim, guestSpec, SMALL, vm, vmi } from '../helpers/quotas.ts'

const LARGEST = (2n ** 63n - 1n) * ONE
const VMI = 'virtualmachineinstances.kubevirt.io'

/** Charges as text, without what every guest has. */
function charged(resource: string, object: Parameters<typeof chargesOf>[1]): Record<string, string> {
  const charges = chargesOf(resource, object, ALL)
  const entries = [...charges].map(([name, amount]) => [name, formatAmount(name, amount)] as const)
  return Object.fromEntries(
    entries.filter(([name]) => !name.startsWith('count/') && !name.startsWith('virtgate')),
  )
}

test.each<[string, VmiSpec, Record<string, string>]>([
  [
    'its own vCPUs and memory where it says no request',
    guestSpec({ cpu: { cores: 2, sockets: 3, threads: 2 }, memory: { guest: '1Gi' } }),
    { 'requests.cpu': '12', cpu: '12', 'requests.memory': '1Gi', memory: '1Gi' },
  ],
  [
    'what it requests, and its limits',
    guestSpec({
      ...SMALL,
      resources: { requests: { cpu: '500m', memory: '512Mi' }, limits: { cpu: '1', memory: '1Gi' } },
    }),
    {
      'requests.cpu': '500m',
      cpu: '500m',
      'requests.memory': '512Mi',
      memory: '512Mi',
      'limits.cpu': '1',
      'limits.memory': '1Gi',
    },
  ],
  [
    'huge pages by their size',
    guestSpec({ memory: { guest: '64Mi', hugepages: { pageSize: '2Mi' } } }),
    {
      'requests.memory': '64Mi',
      memory: '64Mi',
      'requests.hugepages-2Mi': '64Mi',
      'hugepages-2Mi': '64Mi',
    },
  ],
  [
    'devices of the host, one each',
    guestSpec({
      devices: {
        gpus: [
          { name: 'a', deviceName: 'nvidia.com/T4' },
          { name: 'b', deviceName: 'nvidia.com/T4' },
        ],
        hostDevices: [{ name: 'c', deviceName: 'intel.com/qat' }],
      },
    }),
    { 'requests.nvidia.com/T4': '2', 'requests.intel.com/qat': '1' },
  ],
  [
    'nothing for what is below zero or no amount',
    guestSpec({ resources: { requests: { cpu: '-4', memory: 'much' } } }),
    { 'requests.cpu': '0', cpu: '0', 'requests.memory': '0', memory: '0' },
  ],
])('a guest is charged %s', (_what, spec, expected) => {
  expect(charged(VMI, vmi('a', spec))).toEqual(expected)
})

test('what a process takes beyond its guest is told apart', () => {
  const charges = chargesOf(VMI, vmi('a', guestSpec({ memory: { guest: '1Gi' } })), ALL)
  const overhead = charges.get('virtgate.io/memory-overhead') ?? 0n
  expect(charges.get('requests.memory')).toBe(ONE * 1024n ** 3n)
  // 115 MiB of QEMU and 2 MiB of page tables.
  expect(overhead).toBe(ONE * 117n * 1024n ** 2n)
})

test('a guest that has ended takes no more than its object', () => {
  expect([...chargesOf(VMI, vmi('a', guestSpec(SMALL), 'Succeeded'), ALL).keys()]).toEqual([`count/${VMI}`])
  expect(chargesOf(VMI, vmi('a', guestSpec(SMALL), 'Running'), ALL).get('cpu')).toBe(2n * ONE)
})

test('a VM is an object and no more', () => {
  const name = 'virtualmachines.kubevirt.io'
  expect([...chargesOf(name, vm('a'), ALL)]).toEqual([[`count/${name}`, ONE]])
})

test('a migration is an object; one that empties a node is nothing', () => {
  const name = 'virtualmachineinstancemigrations.kubevirt.io'
  const migration = { ...vm('a'), kind: 'VirtualMachineInstanceMigration' }
  expect([...chargesOf(name, migration, ALL).keys()]).toEqual([`count/${name}`])
  const metadata = { ...migration.metadata, annotations: { [EVACUATION_ANNOTATION]: 'node-a' } }
  expect(chargesOf(name, { ...migration, metadata }, ALL).size).toBe(0)
})

test.each([
  ['its class', claim('c', '5Gi', 'fast'), 'fast'],
  ['the default class where it names none', claim('c', '5Gi'), 'local'],
])('a claim is charged to %s', (_what, object, storageClass) => {
  expect(charged('persistentvolumeclaims', object)).toEqual({
    persistentvolumeclaims: '1',
    'requests.storage': '5Gi',
    [`${storageClass}.storageclass.storage.k8s.io/requests.storage`]: '5Gi',
    [`${storageClass}.storageclass.storage.k8s.io/persistentvolumeclaims`]: '1',
  })
})

test('a claim that is being resized counts as the larger of both sizes', () => {
  const status = { phase: 'Bound', allocatedResources: { storage: '8Gi' } }
  expect(charged('persistentvolumeclaims', { ...claim('c', '5Gi'), status } as never)).toMatchObject({
    'requests.storage': '8Gi',
  })
})

test('where kube-apiserver counts objects, guests are charged their compute alone', () => {
  const rules = { countsObjects: false }
  expect([...chargesOf(VMI, vmi('a'), rules).keys()]).not.toContain(`count/${VMI}`)
  expect(chargesOf('virtualmachines.kubevirt.io', vm('a'), rules).size).toBe(0)
  expect(chargesOf('persistentvolumeclaims', claim('c', '5Gi'), rules).size).toBe(0)
})

test.each([
  ['count/secrets', 'secrets'],
  ['count/virtualmachines.kubevirt.io', 'virtualmachines.kubevirt.io'],
  ['configmaps', 'configmaps'],
  ['requests.storage', 'persistentvolumeclaims'],
  ['fast.storageclass.storage.k8s.io/requests.storage', 'persistentvolumeclaims'],
  ['requests.nvidia.com/T4', VMI],
  ['limits.memory', VMI],
])('amounts of %s are those of %s', (name, resource) => {
  expect(resourceCounted(name)).toBe(resource)
})

describe('amounts', () => {
  test.each([
    ['requests.cpu', '1500m', '1500m'],
    ['requests.cpu', '2.0', '2'],
    ['requests.memory', '1024Mi', '1Gi'],
    ['requests.memory', '1G', '1G'],
    ['count/secrets', '1000', '1k'],
    ['gold.storageclass.storage.k8s.io/requests.storage', '2048Gi', '2Ti'],
  ])('of %s: %s is told as %s', (name, text, told) => {
    expect(formatAmount(name, readAmounts({ [name]: text }).get(name) ?? 0n)).toBe(told)
  })

  test('of a refusal stand in the order of their names', () => {
    const amounts = readAmounts({ 'requests.memory': '1Gi', 'requests.cpu': '2' })
    expect(printAmounts(['requests.memory', 'requests.cpu'], amounts)).toBe(
      'requests.cpu=2,requests.memory=1Gi',
    )
  })

  test('D6: are summed exactly, whatever their size and units', () => {
    const units = ['', 'm', 'k', 'Ki', 'M', 'Mi', 'G', 'Gi', 'T', 'Ti', 'P', 'Pi', 'E', 'Ei'] as const
    const scale = (unit: string) => readAmounts({ one: `1${unit}` }).get('one') ?? 0n
    const amount = tuple(bigInt({ min: 0n, max: 2n ** 70n }), constantFrom(...units))
    assert(
      property(array(amount, { maxLength: 20 }), (list) => {
        const texts = list.map(([number, unit]) => readAmounts({ memory: `${number}${unit}` }))
        const sum = texts.reduce(addAmounts, new Map<string, bigint>()).get('memory') ?? 0n
        const exact = list.map(([number, unit]) => number * scale(unit))
        // One quantity is no more than 2^63 - 1, as in Kubernetes; their sum may be.
        expect(sum).toBe(exact.reduce((total, one) => total + (one > LARGEST ? LARGEST : one), 0n))
        // What is written down is read back as the same.
        expect(readSums({ memory: formatAmount('memory', sum) }).get('memory') ?? 0n).toBe(sum)
      }),
    )
  })

  test('D6: of a topology do not wrap around', () => {
    const most = 2 ** 32 - 1
    const spec = guestSpec({ cpu: { cores: most, sockets: most, threads: most } })
    expect(chargesOf(VMI, vmi('a', spec), ALL).get('cpu')).toBe(BigInt(most) ** 3n * ONE)
  })
})

test('a pod is charged the most it takes at any time, until it has ended', () => {
  const container = (cpu: string, restartPolicy?: string) => ({
    resources: { requests: { cpu } },
    ...(restartPolicy && { restartPolicy }),
  })
  const { metadata } = vm('p')
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: {
      containers: [container('1'), container('500m')],
      initContainers: [container('250m', 'Always'), container('3')],
      overhead: { cpu: '100m' },
    },
  }
  expect(printAmounts(['cpu', 'requests.cpu'], podCharges(pod))).toBe('cpu=3350m,requests.cpu=3350m')
  expect(podCharges({ ...pod, status: { phase: 'Succeeded' } }).size).toBe(0)
})
