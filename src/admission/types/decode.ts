/** The decode step: a value as its type has it, and nothing else. Contract: admission-overview.md, section 6. */
import { badRequest } from '../../lib/errors.ts'
import { isRecord, setMember, type JsonRecord } from '../../lib/json.ts'
import { isQuantity } from '../../lib/quantity.ts'
import { canonicalAddress, canonicalCidr } from './addresses.ts'
import { typeNamed, type Member, type ObjectType, type Scalar, type Type } from './parse.ts'

/**
 * A copy of `value` as the type reads it: members it does not know are gone, other spellings of names are mended,
 * `null` is absent, addresses are in their canonical form. Throws 400 naming the place of the first mistake.
 */
export function decode(typeName: string, value: unknown, at: string): JsonRecord {
  return decodeObject(typeNamed(typeName), value, at)
}

function decodeObject(type: ObjectType, value: unknown, at: string): JsonRecord {
  if (!isRecord(value)) throw wrong(at, 'an object')
  const decoded: JsonRecord = {}
  for (const given of Object.keys(value)) {
    const member = type.members.get(given) ?? type.lowered.get(given.toLowerCase())
    if (!member) continue
    const { name } = member
    const place = `${at}.${name}`
    const content = value[given]
    if (content === null) {
      if (isClaim(type, name)) decoded[name] = ''
      continue
    }
    const decodedValue = canonical(type, name, decodeValue(member.type, content, place))
    const isUnsaid = hidesZero(member) && isZero(decodedValue)
    if (isClaim(type, name) || !isUnsaid) setMember(decoded, name, decodedValue)
  }
  // What is no pointer is always there.
  for (const [name, part] of type.parts) decoded[name] ??= decodeObject(part, {}, `${at}.${name}`)
  for (const name of type.texts) decoded[name] ??= ''
  return decoded
}

/** Whether a zero cannot be told from what is absent: where it is not behind a pointer. */
export function hidesZero({ type, always, keepsZero }: Member): boolean {
  return type.kind === 'scalar' && !always && !keepsZero
}

/** Whether a scalar is zero. */
export function isZero(value: unknown): boolean {
  return value === '' || value === 0 || value === false
}

function decodeValue(type: Type, value: unknown, at: string): unknown {
  switch (type.kind) {
    case 'scalar':
      if (!FITS[type.scalar](value)) throw wrong(at, NAMES[type.scalar])
      return type.scalar === 'qty' ? String(value).trim() : value
    case 'list':
      if (!Array.isArray(value)) throw wrong(at, 'a list')
      return value.map((element, index) => decodeElement(type.items, element, `${at}[${index}]`))
    case 'map':
      return decodeMap(type.values, value, at)
    case 'object':
      return decodeObject(type, value, at)
  }
}

/** `null` among others is what is empty of its type. */
function decodeElement(type: Type, value: unknown, at: string): unknown {
  if (value !== null) return decodeValue(type, value, at)
  if (type.kind === 'object' || type.kind === 'map') return {}
  if (type.kind === 'list') return []
  return EMPTY[type.scalar]
}

function decodeMap(values: Type, value: unknown, at: string): JsonRecord {
  if (!isRecord(value)) throw wrong(at, 'an object')
  const decoded: JsonRecord = {}
  for (const key of Object.keys(value)) {
    setMember(decoded, key, decodeElement(values, value[key], `${at}[${key}]`))
  }
  return decoded
}

/** Whether a member counts as said where it is `null` or empty. Contract: ADM-DEC-002. */
export function isClaim({ name: type }: ObjectType, name: string): boolean {
  return (type === 'GPU' || type === 'HostDevice') && (name === 'claimName' || name === 'requestName')
}

/** Addresses in their canonical form, anything else as it is. Contract: ADM-DEC-008. */
export function canonical({ name: type }: ObjectType, name: string, value: unknown): unknown {
  if (type === 'PodNetwork' && name === 'vmNetworkCIDR') return canonicalCidr(String(value))
  const isList =
    (type === 'DHCPOptions' && name === 'ntpServers') ||
    (type === 'core.PodDNSConfig' && name === 'nameservers')
  return isList && Array.isArray(value) ? value.map((text) => canonicalAddress(String(text))) : value
}

/** Whole numbers that JavaScript would round come as `bigint`. */
const within =
  (low: number | bigint, high: number | bigint) =>
  (value: unknown): boolean =>
    typeof value === 'bigint'
      ? value >= low && value <= high
      : Number.isInteger(value) && Number(value) >= low && Number(value) <= high
const isText = (value: unknown): boolean => typeof value === 'string'
const DURATION = /^[+-]?(0|(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$/
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/

/** Whether a value can be read as a scalar. */
export const FITS: Record<Scalar, (value: unknown) => boolean> = {
  str: isText,
  bool: (value) => typeof value === 'boolean',
  i32: within(-(2 ** 31), 2 ** 31 - 1),
  int64: within(-(2n ** 63n), 2n ** 63n - 1n),
  u32: within(0, 2 ** 32 - 1),
  u64: within(0, 2n ** 64n - 1n),
  qty: isQuantity,
  time: (value) => isText(value) && MOMENT.test(String(value)) && !Number.isNaN(Date.parse(String(value))),
  duration: (value) => isText(value) && DURATION.test(String(value)),
  intstr: (value) => isText(value) || within(-(2 ** 31), 2 ** 31 - 1)(value),
  obj: isRecord,
}

const NAMES: Record<Scalar, string> = {
  str: 'a text',
  bool: 'true or false',
  i32: 'a whole number of 32 bits',
  int64: 'a whole number of 64 bits',
  u32: 'a whole number from 0 to 4294967295',
  u64: 'a whole number from 0',
  qty: 'a quantity such as 512Mi',
  time: 'a date and time such as 2026-01-31T12:00:00Z',
  duration: 'a duration such as 5m0s',
  intstr: 'a number of 32 bits or a text',
  obj: 'an object',
}

const EMPTY: Record<Scalar, unknown> = {
  str: '',
  bool: false,
  i32: 0,
  int64: 0,
  u32: 0,
  u64: 0,
  qty: '0',
  time: '',
  duration: '',
  intstr: 0,
  obj: {},
}

function wrong(at: string, expected: string): Error {
  return badRequest(`${at} must be ${expected}`)
}
