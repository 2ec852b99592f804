import { describe, expect, test } from 'vitest'
import { buildArgv } from '../../../src/qemu/argv/index.ts'
import type { VmiSpec } from '../../../src/kinds/kubevirt.ts'
import { makePlan, type PlanParts } from '../plans.ts'
import { firstParts, valuesOf } from './read.ts'

type Domain = Partial<VmiSpec['domain']>

function smp(domain: Domain): Record<string, string> {
  return firstParts(buildArgv(makePlan({ domain: { memory: { guest: '64Mi' }, ...domain } })).argv, '-smp')
}

function cpu(parts: PlanParts): string | undefined {
  return valuesOf(buildArgv(makePlan(parts)).argv, '-cpu')[0]
}

describe('the number of CPUs', () => {
  test.each<[string, Domain, object]>([
    ['nothing', {}, { cpus: '1', sockets: '1', cores: '1', threads: '1', maxcpus: '1' }],
    ['cores alone', { cpu: { cores: 3 } }, { cpus: '3', sockets: '1', cores: '3', threads: '1' }],
    [
      'all three',
      { cpu: { sockets: 2, cores: 3, threads: 2 } },
      { cpus: '12', sockets: '2', cores: '3', threads: '2' },
    ],
    ['a limit', { resources: { limits: { cpu: '2' }, requests: { cpu: '1' } } }, { cpus: '2', sockets: '2' }],
    ['a request', { resources: { requests: { cpu: '1500m' } } }, { cpus: '2', sockets: '2' }],
    ['a request beside cores', { cpu: { cores: 1 }, resources: { requests: { cpu: '8' } } }, { cpus: '1' }],
    [
      'room for more',
      { cpu: { sockets: 1, cores: 2, maxSockets: 4 } },
      { cpus: '2', sockets: '4', maxcpus: '8' },
    ],
    [
      'room for more than there can be',
      { cpu: { sockets: 1, cores: 2, maxSockets: 256 } },
      { cpus: '2', sockets: '127', maxcpus: '254' },
    ],
  ])('follows %s', (_what, domain, parts) => {
    expect(smp(domain)).toMatchObject(parts)
  })

  test('has a limit', () => {
    expect(() => smp({ cpu: { sockets: 64, cores: 4 } })).toThrow(/spec.domain.cpu: 256 vCPUs .* lower one/)
  })
})

describe('the model', () => {
  test.each<[string, PlanParts, string]>([
    ['without one, emulated', {}, 'max,la57=off'],
    ['without one, under KVM', { accelerator: 'kvm' }, 'host,migratable=on'],
    [
      'host-model under KVM',
      { accelerator: 'kvm', domain: { cpu: { model: 'host-model' } } },
      'host,migratable=on',
    ],
    [
      'host-passthrough',
      { accelerator: 'kvm', domain: { cpu: { model: 'host-passthrough' } } },
      'host,migratable=on',
    ],
    ['a named one, emulated', { domain: { cpu: { model: 'Haswell-v4' } } }, 'Haswell-v4'],
    [
      'a named one under KVM',
      { accelerator: 'kvm', domain: { cpu: { model: 'Haswell' } } },
      'Haswell,enforce=on',
    ],
  ])('%s', (_what, parts, text) => {
    expect(cpu(parts)).toBe(text)
  })

  test('host-passthrough needs KVM', () => {
    expect(() => cpu({ domain: { cpu: { model: 'host-passthrough' } } })).toThrow(
      expect.objectContaining({ reason: 'HypervisorUnavailable', field: 'spec.domain.cpu.model' }),
    )
  })

  test('one that is no word is refused', () => {
    expect(() => cpu({ domain: { cpu: { model: 'max,host=on' } } })).toThrow(
      /spec.domain.cpu.model: "max,host=on" has characters/,
    )
  })
})

describe('features', () => {
  const withFeature = (name: string, policy?: string): PlanParts => ({
    cpuFeatures: ['avx2'],
    domain: { cpu: { model: 'Haswell', features: [{ name, ...(policy !== undefined && { policy }) }] } },
  })

  test.each([
    [undefined, 'avx2', ',avx2=on'],
    ['require', 'avx512f', ',avx512f=on'],
    ['force', 'sse4_2', ',sse4-2=on'],
    ['disable', 'avx2', ',avx2=off'],
    ['optional', 'avx2', ',avx2=on'],
    ['optional', 'avx512f', ''],
    ['forbid', 'avx512f', ',avx512f=off'],
  ])('with the policy %s, %s', (policy, name, text) => {
    expect(cpu(withFeature(name, policy))).toBe(`Haswell${text}`)
  })

  test('that are forbidden keep the guest from a host that has them', () => {
    expect(() => cpu(withFeature('avx2', 'forbid'))).toThrow(/spec.domain.cpu.features\[0\]: .*has avx2/)
  })

  test('with an unknown policy are refused', () => {
    expect(() => cpu(withFeature('avx2', 'please'))).toThrow(/policy: "please" is none of force, require/)
  })
})

describe('enlightenments of Hyper-V', () => {
  const hyperv: NonNullable<NonNullable<VmiSpec['domain']['features']>['hyperv']> = {
    relaxed: {},
    vapic: { enabled: false },
    spinlocks: { spinlocks: 8191 },
    synictimer: { direct: {} },
    tlbflush: { direct: {}, extended: { enabled: true } },
    vendorid: { vendorid: 'a,b' },
  }

  test('are flags of the CPU under KVM', () => {
    const text = cpu({
      accelerator: 'kvm',
      domain: { features: { hyperv, kvm: { hidden: true }, pvspinlock: { enabled: false } } },
    })
    expect(text).toBe(
      'host,migratable=on,kvm=off,kvm-pv-unhalt=off,hv-relaxed=on,hv-stimer=on,hv-tlbflush=on,hv-stimer-direct=on,hv-tlbflush-direct=on,hv-tlbflush-ext=on,hv-spinlocks=8191,hv-vendor-id=a,,b',
    )
  })

  test('are left out without KVM, and that is said', () => {
    const { argv, degraded } = buildArgv(
      makePlan({ domain: { features: { hyperv, apic: { endOfInterrupt: true } } } }),
    )
    expect(valuesOf(argv, '-cpu')).toEqual(['max,la57=off'])
    expect(degraded.map(({ field }) => field)).toEqual([
      'spec.domain.features.apic.endOfInterrupt',
      'spec.domain.features.hyperv',
    ])
  })

  test('an id beyond what the CPU can say is refused', () => {
    const vendorid = { vendorid: 'thirteenchars' }
    expect(() => cpu({ accelerator: 'kvm', domain: { features: { hyperv: { vendorid } } } })).toThrow(
      /longer than 12 bytes/,
    )
  })
})
