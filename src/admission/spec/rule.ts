import type { VmiSpec } from '../../kinds/kubevirt.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import type { AdmissionConfig } from '../config.ts'

/** What a rule is told besides the spec. */
export type RuleConfig = AdmissionConfig

/** Yields what is wrong with a guest's spec that stands at `at`. */
export type SpecRule = (spec: VmiSpec, at: FieldPath, config: RuleConfig) => Cause[]

export type Devices = NonNullable<VmiSpec['domain']['devices']>
export type Disk = NonNullable<Devices['disks']>[number]
export type Interface = NonNullable<Devices['interfaces']>[number]
export type Volume = NonNullable<VmiSpec['volumes']>[number]
/** The published types spell `default` as `_default`, and `resourceClaim` is newer than they are. */
export interface Network {
  name: string
  pod?: object
  multus?: { networkName: string; default?: boolean }
  resourceClaim?: object
}

/** Devices; a domain may leave them out although the types say otherwise. */
export function devicesOf(spec: VmiSpec): Devices {
  return spec.domain.devices ?? {}
}

/** The schema lets names and the like be left out although the types do not: that counts as empty. */
export function textOrEmpty(text: string | undefined): string {
  return text ?? ''
}

export function networksOf(spec: VmiSpec): Network[] {
  return spec.networks ?? []
}

/** Positions of entries whose name an earlier entry has. */
export function repeatedNames(entries: readonly { name: string }[]): number[] {
  const seen = new Set<string>()
  const found: number[] = []
  for (const [position, { name }] of entries.entries()) {
    if (seen.has(name)) found.push(position)
    seen.add(name)
  }
  return found
}
