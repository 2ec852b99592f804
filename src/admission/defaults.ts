import type { SpecDefaults } from '../instancetype/expand.ts'
import type { AdmissionConfig } from './config.ts'
import { attachDefaults, completeSpec } from './vmi/spec-defaults.ts'

/** What admission gives guests, for a role to hand to those who write out what VMs refer to. */
export function specDefaults(config: AdmissionConfig): SpecDefaults {
  return {
    attach: (spec) => attachDefaults(spec, config),
    complete: (spec) => completeSpec(spec, config),
  }
}
