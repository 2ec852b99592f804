import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { FieldPath } from '../../lib/field-path.ts'
import { invalidConfig } from './error.ts'

/** The parts of a VMI's spec, under the names they have here. */
export type Domain = VmiSpec['domain']
export type Devices = Domain['devices']
export type Features = NonNullable<Domain['features']>
export type DiskSpec = NonNullable<Devices['disks']>[number]
export type InterfaceSpec = NonNullable<Devices['interfaces']>[number]

/** Paths that messages name. */
export const SPEC = new FieldPath('spec')
export const DOMAIN = SPEC.child('domain')
export const DEVICES = DOMAIN.child('devices')

/** A switch such as `{}` or `{ enabled: true }`: on wherever it is present and does not say otherwise. */
export function isOn(state: { enabled?: boolean } | undefined): boolean {
  return state !== undefined && state.enabled !== false
}

/** Names of volumes, disks and interfaces; they become part of QEMU's device ids. */
const NAME = /^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,62}$/
/** Words of QEMU's own: CPU models, CPU features. No `=`, no comma. */
const WORD = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/
const CONTROL = /\p{Cc}/u
const TEXT_LIMIT = 1024

/** `name` where it can stand in an id. Throws `InvalidConfiguration` otherwise. */
export function checkName(name: string, at: FieldPath): string {
  if (NAME.test(name)) return name
  throw invalidConfig(
    at,
    `${JSON.stringify(name)} cannot name a device: use up to 63 letters, digits, '-', '_' and '.'`,
  )
}

/** `word` where QEMU can take it for one word. Throws `InvalidConfiguration` otherwise. */
export function checkWord(word: string, at: FieldPath): string {
  if (WORD.test(word)) return word
  throw invalidConfig(
    at,
    `${JSON.stringify(word)} has characters other than letters, digits, '-', '_' and '.'`,
  )
}

/** `text` where it is one short line. Throws `InvalidConfiguration` otherwise. */
export function checkText(text: string, at: FieldPath, limit = TEXT_LIMIT): string {
  if (CONTROL.test(text)) throw invalidConfig(at, 'has control characters: remove them')
  if (Buffer.byteLength(text) > limit) throw invalidConfig(at, `is longer than ${limit} bytes: shorten it`)
  return text
}

/** `value` where it is one of `known`, `fallback` where it is absent or empty. Throws `InvalidConfiguration`. */
export function oneOf<T extends string>(
  value: string | undefined,
  known: readonly T[],
  fallback: T,
  at: FieldPath,
): T {
  if (!value) return fallback
  const found = known.find((candidate) => candidate === value)
  if (found !== undefined) return found
  throw invalidConfig(at, `${JSON.stringify(value)} is none of ${known.join(', ')}: choose one of them`)
}

/** The id that QEMU knows a device by which has this name in the spec. Throws `InvalidConfiguration`. */
export function deviceId(name: string, at: FieldPath): string {
  return `ua-${checkName(name, at)}`
}
