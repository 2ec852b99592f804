import { describe, expect, test } from 'vitest'
import { buildArgv } from '../../../src/qemu/argv/index.ts'
import type { VmiSpec } from '../../../src/kinds/kubevirt.ts'
import { makePlan } from '../plans.ts'
import { firstParts, objectsOf, valuesOf } from './read.ts'

type Domain = Partial<VmiSpec['domain']>

function build(domain: Domain): string[] {
  const plan = makePlan()
  const { memory: _memory, ...rest } = plan.spec.domain
  return buildArgv({ ...plan, spec: { ...plan.spec, domain: { ...rest, ...domain } } }).argv
}

describe('memory', () => {
  test.each<[string, Domain, string]>([
    [
      'what the guest is to have',
      { memory: { guest: '1Gi' }, resources: { requests: { memory: '2Gi' } } },
      '1024M',
    ],
    ['its request', { resources: { requests: { memory: '128Mi' }, limits: { memory: '256Mi' } } }, '128M'],
    ['its limit', { resources: { limits: { memory: '256Mi' } } }, '256M'],
    ['a huge page', { memory: { hugepages: { pageSize: '1Gi' } } }, '1024M'],
    ['whole MiB', { memory: { guest: '1G' } }, '954M'],
    ['whole huge pages', { memory: { guest: '3Mi', hugepages: { pageSize: '2Mi' } } }, '4M'],
  ])('is %s', (_what, domain, size) => {
    const argv = build(domain)
    expect(firstParts(argv, '-m').size).toBe(size)
    expect(objectsOf(argv, '-object')[0]?.size).toBe(Number(size.slice(0, -1)) * 1024 ** 2)
  })

  test.each<[string, Domain]>([
    ['none', {}],
    ['zero', { memory: { guest: '0' } }],
  ])('of %s is refused', (_what, domain) => {
    expect(() => build(domain)).toThrow(/spec.domain.memory.guest: .*512Mi/)
  })

  test.each<[string, Domain]>([
    ['memory.guest', { memory: { guest: 'lots' } }],
    ['memory.maxGuest', { memory: { guest: '1Gi', maxGuest: 'more' } }],
    ['memory.hugepages.pageSize', { memory: { guest: '1Gi', hugepages: { pageSize: 'huge' } } }],
    ['resources.requests.memory', { resources: { requests: { memory: 'some' } } }],
    ['resources.limits.cpu', { memory: { guest: '1Gi' }, resources: { limits: { cpu: 'all' } } }],
  ])('or CPUs that are no quantity are refused: %s', (field, domain) => {
    expect(() => build(domain)).toThrow(
      expect.objectContaining({ reason: 'InvalidConfiguration', field: `spec.domain.${field}` }),
    )
  })

  test('can have room to grow', () => {
    expect(firstParts(build({ memory: { guest: '1Gi', maxGuest: '4Gi' } }), '-m')).toEqual({
      size: '1024M',
      slots: '16',
      maxmem: '4096M',
    })
    expect(firstParts(build({ memory: { guest: '1Gi', maxGuest: '1Gi' } }), '-m')).toEqual({ size: '1024M' })
  })

  test('of huge pages is taken at once, and not given back in pieces', () => {
    const argv = build({ memory: { guest: '64Mi', hugepages: { pageSize: '2Mi' } } })
    expect(objectsOf(argv, '-object')[0]).toMatchObject({
      hugetlb: true,
      hugetlbsize: 2 * 1024 ** 2,
      prealloc: true,
    })
    expect(objectsOf(argv, '-device').find(({ id }) => id === 'balloon0')).toMatchObject({
      'free-page-reporting': false,
    })
    expect(() => build({ memory: { guest: '64Mi', hugepages: { pageSize: '3Mi' } } })).toThrow(
      /no pages of 3Mi/,
    )
  })

  test('can be held in the host’s', () => {
    expect(
      valuesOf(
        build({ memory: { guest: '64Mi', reservedOverhead: { memLock: 'Required' } } }),
        '-overcommit',
      ),
    ).toEqual(['mem-lock=on'])
    expect(valuesOf(build({ memory: { guest: '64Mi' } }), '-overcommit')).toEqual([])
  })
})
