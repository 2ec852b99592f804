import { describe, expect, test } from 'vitest'
import type { LimitRange, LimitRangeItem, ResourceQuota } from '../../src/kinds/quota.ts'
import type { Cause } from '../../src/lib/errors.ts'
import { limitRangeFaults } from '../../src/quota/check-limit-range.ts'
import { quotaFaults } from '../../src/quota/check-quota.ts'
import { quota } from '../helpers/quotas.ts'

const told = (faults: Iterable<Cause>) =>
  [...faults].map(({ reason, field }) => `${reason.replace('FieldValue', '')} ${field}`)

describe('a quota', () => {
  test.each<[Record<string, string>, string[]]>([
    [
      { cpu: '1', 'requests.memory': '1Gi', 'requests.storage': '1Ti', pods: '3', 'services.nodeports': '1' },
      [],
    ],
    [
      { 'count/virtualmachines.kubevirt.io': '37', 'requests.nvidia.com/T4': '2', 'hugepages-2Mi': '1Gi' },
      [],
    ],
    [
      {
        'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '2',
        'virtgate.io/memory-overhead': '1Gi',
      },
      [],
    ],
    [{ vms: '1' }, ['Invalid spec.hard[vms]']],
    [{ 'a b/c': '1' }, ['Invalid spec.hard[a b/c]']],
    [{ cpu: '-1' }, ['Invalid spec.hard[cpu]']],
    [{ 'count/secrets': '1.5' }, ['Invalid spec.hard[count/secrets]']],
    [{ 'requests.cpu': '1.5' }, []],
  ])('that limits %j: %j', (hard, faults) => {
    expect(told(quotaFaults(quota('q', hard), undefined))).toEqual(faults)
  })

  test.each<[string, string[], Record<string, string>, string[]]>([
    ['known', ['NotBestEffort', 'NotTerminating'], { cpu: '1', pods: '1' }, []],
    ['unknown', ['Nice'], {}, ['Invalid spec.scopes']],
    ['opposite', ['BestEffort', 'NotBestEffort'], { pods: '1' }, ['Invalid spec.scopes']],
    ['not about what is limited', ['BestEffort'], { cpu: '1' }, ['Invalid spec.scopes']],
    ['not about objects', ['Terminating'], { secrets: '1' }, ['Invalid spec.scopes']],
    ['about claims', ['VolumeAttributesClass'], { persistentvolumeclaims: '1', 'requests.storage': '1' }, []],
    ['about claims and not guests', ['VolumeAttributesClass'], { cpu: '1' }, ['Invalid spec.scopes']],
    ['free where the name says whose it is', ['PriorityClass'], { 'count/secrets': '1' }, []],
  ])('whose scopes are %s', (_what, scopes, hard, faults) => {
    expect(told(quotaFaults(quota('q', hard, { scopes }), undefined))).toEqual(faults)
  })

  const AT = 'spec.scopeSelector.matchExpressions[0]'
  test.each<[string, string, string[] | undefined, string[]]>([
    ['PriorityClass', 'In', ['high'], []],
    ['PriorityClass', 'DoesNotExist', undefined, []],
    ['BestEffort', 'Exists', undefined, []],
    ['BestEffort', 'In', ['x'], [`Invalid ${AT}.operator`]],
    ['PriorityClass', 'NotIn', undefined, [`Required ${AT}.values`]],
    ['PriorityClass', 'Exists', ['x'], [`Forbidden ${AT}.values`]],
    ['PriorityClass', 'Like', ['x'], [`NotSupported ${AT}.operator`]],
    ['Nice', 'Exists', undefined, [`Invalid ${AT}.scopeName`]],
  ])('that selects by %s %s %j: %j', (scopeName, operator, values, faults) => {
    const scopeSelector = { matchExpressions: [{ scopeName, operator, ...(values && { values }) }] }
    expect(told(quotaFaults(quota('q', {}, { scopeSelector }), undefined))).toEqual(faults)
  })

  test('keeps its scopes', () => {
    const [one, other]: ResourceQuota[] = [quota('q', {}, { scopes: ['NotTerminating'] }), quota('q', {})]
    expect(told(quotaFaults(one!, other))).toEqual(['Invalid spec.scopes'])
    expect(told(quotaFaults(one!, one))).toEqual([])
    const selected = quota('q', {}, { scopeSelector: { matchExpressions: [] } })
    expect(told(quotaFaults(selected, other))).toEqual(['Invalid spec.scopeSelector'])
  })
})

describe('a LimitRange', () => {
  const AT = 'spec.limits[0]'
  test.each<[string, LimitRangeItem[], string[]]>([
    [
      'rises from the minimum to the maximum',
      [
        {
          type: 'Container',
          min: { cpu: '1' },
          defaultRequest: { cpu: '2' },
          default: { cpu: '3' },
          max: { cpu: '4' },
        },
        { type: 'Pod', max: { cpu: '8' } },
        { type: 'PersistentVolumeClaim', max: { storage: '1Ti' } },
        { type: 'example.com/Thing', max: { things: '4' } },
      ],
      [],
    ],
    ['falls', [{ type: 'Pod', min: { cpu: '2' }, max: { cpu: '1' } }], [`Invalid ${AT}.min[cpu]`]],
    [
      'asks for more than the limit',
      [{ type: 'Container', defaultRequest: { cpu: '2' }, default: { cpu: '1' } }],
      [`Invalid ${AT}.defaultRequest[cpu]`],
    ],
    ['has a type nobody knows', [{ type: 'Guest', max: { cpu: '1' } }], [`Invalid ${AT}.type`]],
    [
      'has a type twice',
      [
        { type: 'Pod', max: { cpu: '1' } },
        { type: 'Pod', max: { cpu: '1' } },
      ],
      ['Duplicate spec.limits[1].type'],
    ],
    ['has defaults for pods', [{ type: 'Pod', default: { cpu: '1' } }], [`Forbidden ${AT}.default`]],
    ['says nothing of storage', [{ type: 'PersistentVolumeClaim', max: {} }], [`Required ${AT}.limits`]],
    [
      'has a ratio below 1',
      [{ type: 'Container', maxLimitRequestRatio: { cpu: '500m' } }],
      [`Invalid ${AT}.maxLimitRequestRatio[cpu]`],
    ],
  ])('that %s', (_what, limits, faults) => {
    const range = { ...quota('r', {}), spec: { limits } } as LimitRange
    expect(told(limitRangeFaults(range))).toEqual(faults)
  })
})
