import { describe, expect, test } from 'vitest'
import { buildArgv } from '../../../src/qemu/argv/index.ts'
import { readMemorySize } from '../../../src/qemu/argv/memory.ts'
import type { MachinePlan } from '../../../src/qemu/plan.ts'
import type { VmiSpec } from '../../../src/kinds/kubevirt.ts'
import { makePlan } from '../plans.ts'
import { firstParts, objectsOf, valuesOf } from './read.ts'

type Domain = Partial<VmiSpec['domain']>

function build(domain: Domain, accelerator: MachinePlan['accelerator'] = 'kvm'): string[] {
  const plan = { ...makePlan(), accelerator }
  const { memory: _memory, ...rest } = plan.spec.domain
  return buildArgv({ ...plan, spec: { ...plan.spec, domain: { ...rest, ...domain } } }).argv
}

describe('memory', () => {
  test.each<[string, Domain, number]>([
    [
      'what the guest is to have',
      { memory: { guest: '1Gi' }, resources: { requests: { memory: '2Gi' } } },
      1024,
    ],
    ['its request', { resources: { requests: { memory: '128Mi' }, limits: { memory: '256Mi' } } }, 128],
    ['its limit', { resources: { limits: { memory: '256Mi' } } }, 256],
    ['a huge page', { memory: { hugepages: { pageSize: '1Gi' } } }, 1024],
    ['whole MiB', { memory: { guest: '1G' } }, 954],
    ['whole huge pages', { memory: { guest: '3Mi', hugepages: { pageSize: '2Mi' } } }, 4],
  ])('is %s', (_what, domain, size) => {
    const argv = build(domain)
    expect(firstParts(argv, '-m').size).toBe(`${size * 1024}K`)
    expect(objectsOf(argv, '-object')[0]?.size).toBe(size * 1024 ** 2)
  })

  test('of an emulated guest is no multiple of 64 pages: QEMU before 9.0 would lose writes while it moves', () => {
    const argv = build({ memory: { guest: '256Mi' } }, 'tcg')
    const bytes = 256 * 1024 ** 2 + 8192
    expect(objectsOf(argv, '-object')[0]?.size).toBe(bytes)
    expect(firstParts(argv, '-m').size).toBe(`${bytes / 1024}K`)
    expect(readMemorySize(firstParts(argv, '-m').size)).toBe(256 * 1024 ** 2)
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
      size: '1048576K',
      slots: '16',
      maxmem: '4096M',
    })
    expect(firstParts(build({ memory: { guest: '1Gi', maxGuest: '1Gi' } }), '-m')).toEqual({
      size: '1048576K',
    })
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
