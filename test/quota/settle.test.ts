import { describe, expect, test } from 'vitest'
import type { VmiSpec } from '../../src/kinds/kubevirt.ts'
import type { ResourceQuota } from '../../src/kinds/quota.ts'
import { StatusError } from '../../src/lib/errors.ts'
import { settle, type QuotaWrite } from '../../src/quota/settle.ts'
import { ALL, claim, guestSpec, quota, SMALL, vm, vmi } from '../helpers/quotas.ts'

const VMI = 'virtualmachineinstances.kubevirt.io'

const create = (spec = guestSpec(SMALL)): QuotaWrite => ({ resource: VMI, name: 'a', after: vmi('a', spec) })

function refusalOf(run: () => unknown): StatusError {
  try {
    run()
  } catch (error) {
    if (error instanceof StatusError) return error
    throw error
  }
  throw new Error('it was not refused')
}

test('only names that the quota limits are used', () => {
  const [settled] = settle([quota('q', { 'requests.cpu': '4', pods: '1' })], create(), ALL)
  expect(settled?.status).toEqual({
    hard: { 'requests.cpu': '4', pods: '1' },
    used: { 'requests.cpu': '2', pods: '0' },
  })
})

test('a quota that a write says nothing to stays as it is', () => {
  expect(settle([quota('q', { 'requests.storage': '4Gi' })], create(), ALL)).toEqual([])
})

test('a refusal names each resource that is short, and no other', () => {
  const limited = quota('q', { 'requests.cpu': '1', 'requests.memory': '512Mi', cpu: '9' })
  expect(refusalOf(() => settle([limited], create(), ALL)).message).toBe(
    `${VMI} "a" is forbidden: exceeded quota: q, requested: requests.cpu=2,requests.memory=1Gi, ` +
      'used: requests.cpu=0,requests.memory=0, limited: requests.cpu=1,requests.memory=512Mi',
  )
})

test('what takes less is never refused, however much is used', () => {
  const full: ResourceQuota = {
    ...quota('q', { 'requests.cpu': '1' }),
    status: { used: { 'requests.cpu': '5' } },
  }
  const write = {
    resource: VMI,
    name: 'a',
    before: vmi('a'),
    after: vmi('a', guestSpec({ cpu: { cores: 1 } })),
  }
  expect(settle([full], write, ALL)[0]?.status?.used).toEqual({ 'requests.cpu': '4' })
  expect(settle([full], { resource: VMI, name: 'a', before: vmi('a') }, ALL)[0]?.status?.used).toEqual({
    'requests.cpu': '3',
  })
})

test('a guest has to say the limits that a quota counts', () => {
  const limited = quota('q', { 'limits.cpu': '8', 'limits.memory': '8Gi', 'requests.cpu': '8' })
  const refusal = refusalOf(() => settle([limited], create(), ALL))
  expect(refusal.message).toBe(
    `${VMI} "a" is forbidden: failed quota: q: must specify limits.cpu for: a; limits.memory for: a`,
  )
  expect(refusal.toStatus().code).toBe(403)
  expect(refusal.details?.causes?.map(({ field }) => field)).toEqual([
    'spec.domain.resources.limits.cpu',
    'spec.domain.resources.limits.memory',
  ])
  const said = guestSpec({ ...SMALL, resources: { limits: { cpu: '2', memory: '1Gi' } } })
  expect(settle([limited], create(said), ALL)).toHaveLength(1)
})

test('a guest whose size nobody can tell has to say its requests', () => {
  const refusal = refusalOf(() => settle([quota('q', { memory: '1Gi' })], create(guestSpec()), ALL))
  expect(refusal.message).toContain('must specify memory for: a')
})

test('a guest that ends need not say anything any more', () => {
  const limited = quota('q', { 'limits.cpu': '8', 'requests.cpu': '8' })
  const write = { resource: VMI, name: 'a', before: vmi('a'), after: vmi('a', guestSpec(SMALL), 'Succeeded') }
  expect(settle([limited], write, ALL)).toHaveLength(1)
})

describe('scopes', () => {
  const high: Partial<VmiSpec> = { priorityClassName: 'high' }
  const requested = { ...SMALL, resources: { requests: { cpu: '1' } } }
  const priority = (operator: string, ...values: string[]) => ({
    scopeSelector: {
      matchExpressions: [{ scopeName: 'PriorityClass', operator, ...(values.length > 0 && { values }) }],
    },
  })
  const elsewhere = {
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'zone', namespaces: ['other'], labelSelector: {} },
        ],
      },
    },
  }

  test.each<[string, Partial<ResourceQuota['spec']>, VmiSpec, boolean]>([
    ['In', priority('In', 'high', 'top'), guestSpec(SMALL, high), true],
    ['In', priority('In', 'top'), guestSpec(SMALL, high), false],
    ['In', priority('In', 'top'), guestSpec(SMALL), false],
    ['NotIn', priority('NotIn', 'top'), guestSpec(SMALL, high), true],
    ['NotIn', priority('NotIn', 'high'), guestSpec(SMALL, high), false],
    ['NotIn', priority('NotIn', 'high'), guestSpec(SMALL), true],
    ['Exists', priority('Exists'), guestSpec(SMALL, high), true],
    ['Exists', priority('Exists'), guestSpec(SMALL), false],
    ['DoesNotExist', priority('DoesNotExist'), guestSpec(SMALL), true],
    ['PriorityClass', { scopes: ['PriorityClass'] }, guestSpec(SMALL, high), true],
    ['PriorityClass', { scopes: ['PriorityClass'] }, guestSpec(SMALL), false],
    ['BestEffort', { scopes: ['BestEffort'] }, guestSpec(SMALL), true],
    ['BestEffort', { scopes: ['BestEffort'] }, guestSpec(requested), false],
    ['NotBestEffort', { scopes: ['NotBestEffort'] }, guestSpec(requested), true],
    ['NotBestEffort', { scopes: ['NotBestEffort'] }, guestSpec(SMALL), false],
    ['Terminating', { scopes: ['Terminating'] }, guestSpec(SMALL), false],
    ['NotTerminating', { scopes: ['NotTerminating'] }, guestSpec(SMALL), true],
    [
      'CrossNamespacePodAffinity',
      { scopes: ['CrossNamespacePodAffinity'] },
      guestSpec(SMALL, elsewhere),
      true,
    ],
    ['CrossNamespacePodAffinity', { scopes: ['CrossNamespacePodAffinity'] }, guestSpec(SMALL), false],
    ['two', { scopes: ['NotTerminating', 'PriorityClass'] }, guestSpec(SMALL), false],
  ])('%s: %j', (_name, spec, guest, isCounted) => {
    const limited = quota('q', { [`count/${VMI}`]: '4' }, spec)
    expect(settle([limited], create(guest), ALL)).toHaveLength(isCounted ? 1 : 0)
  })

  test('a VM is counted by what its guest will be', () => {
    const limited = quota('q', { 'count/virtualmachines.kubevirt.io': '4' }, priority('In', 'high'))
    const write = (spec: VmiSpec) => ({
      resource: 'virtualmachines.kubevirt.io',
      name: 'a',
      after: vm('a', spec),
    })
    expect(settle([limited], write(guestSpec(SMALL, high)), ALL)).toHaveLength(1)
    expect(settle([limited], write(guestSpec(SMALL)), ALL)).toHaveLength(0)
  })

  test('a guest that changes its class moves from one quota to the other', () => {
    const quotas = [
      quota('high', { cpu: '4' }, priority('In', 'high')),
      { ...quota('rest', { cpu: '4' }, priority('NotIn', 'high')), status: { used: { cpu: '2' } } },
    ]
    const write = { resource: VMI, name: 'a', before: vmi('a'), after: vmi('a', guestSpec(SMALL, high)) }
    expect(settle(quotas, write, ALL).map(({ status }) => status?.used)).toEqual([{ cpu: '2' }, { cpu: '0' }])
  })

  test('claims are counted by the class of their attributes, other kinds not at all', () => {
    const limited = quota(
      'q',
      { persistentvolumeclaims: '4', configmaps: '4' },
      { scopes: ['VolumeAttributesClass'] },
    )
    const [gold, plain] = [claim('c', '1Gi'), claim('c', '1Gi')]
    gold.spec = { ...gold.spec, volumeAttributesClassName: 'gold' }
    const write = (resource: string, after: QuotaWrite['after']) => ({ resource, name: 'c', after })
    expect(settle([limited], write('persistentvolumeclaims', gold), ALL)).toHaveLength(1)
    expect(settle([limited], write('persistentvolumeclaims', plain), ALL)).toHaveLength(0)
    expect(settle([limited], write('configmaps', plain), ALL)).toHaveLength(0)
  })
})
