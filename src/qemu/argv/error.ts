import type { FieldPath } from '../../lib/field-path.ts'

/** What kind of trouble; it decides whether trying again can help. Source: contract 1.11. */
export type GuestConfigReason =
  /** The spec contradicts itself, or a value cannot be right. */
  | 'InvalidConfiguration'
  /** Nothing here can give the guest what the spec asks for. */
  | 'UnsupportedDevice'
  /** This host lacks something that it could get. */
  | 'HostResourceMissing'
  /** It takes KVM, which this host does not have. */
  | 'HypervisorUnavailable'

/** A guest cannot be built as its spec asks. The message begins with the field and says what to do. */
export class GuestConfigError extends Error {
  readonly reason: GuestConfigReason
  /** Such as `spec.domain.devices.disks[0].cache`. */
  readonly field: string

  constructor(reason: GuestConfigReason, field: FieldPath | string, message: string) {
    super(`${String(field)}: ${message}`)
    this.name = 'GuestConfigError'
    this.reason = reason
    this.field = String(field)
  }
}

/** The spec contradicts itself, or the value cannot be right. */
export function invalidConfig(field: FieldPath | string, message: string): GuestConfigError {
  return new GuestConfigError('InvalidConfiguration', field, message)
}

/** Nothing here can give the guest what the field asks for. */
export function unsupportedDevice(field: FieldPath | string, message: string): GuestConfigError {
  return new GuestConfigError('UnsupportedDevice', field, message)
}

/** This host lacks something that it could get. */
export function resourceMissing(field: FieldPath | string, message: string): GuestConfigError {
  return new GuestConfigError('HostResourceMissing', field, message)
}

/** It takes KVM, which this host does not have. */
export function needsKvm(field: FieldPath | string, message: string): GuestConfigError {
  return new GuestConfigError('HypervisorUnavailable', field, message)
}
