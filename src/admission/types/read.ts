/**
 * The shape step and the decode step in one pass, for values that are right: most are. What is amiss is left to
 * `schema.ts` and `decode.ts`, which say where. Contract: admission-overview.md, sections 5 and 6.
 */
import { copyOnce, isRecord, type JsonRecord } from '../../lib/json.ts'
import { isQuantity } from '../../lib/quantity.ts'
import { canonical, FITS, hidesZero, isClaim, isZero } from './decode.ts'
import { typeNamed, type Member, type ObjectType, type Type } from './parse.ts'
import { FITS_SHAPE, mayBeNull } from './schema.ts'

/** The value is not right, or not certainly. */
const WRONG = Symbol('wrong')

/** The decoded value, or `WRONG`. */
type Reader = (value: unknown) => unknown

/** A member, with its reader. */
interface Part {
  read: Reader
  mayBeNull: boolean
  isClaim: boolean
  /** Zero cannot be told from what is absent, and is left out. */
  hidesZero: boolean
}

/** Readers of values whose shape is checked, too, and of values that are decoded alone. */
const checked = new Map<string, Reader>()
const unchecked = new Map<string, Reader>()

/**
 * What `decode` answers for a value, where it answers without fail, and where `shapeFaults` finds nothing if the shape
 * is to be checked, too; else `undefined`.
 */
export function read(typeName: string, value: unknown, isChecked: boolean): JsonRecord | undefined {
  const found = readerOf(typeNamed(typeName), isChecked)(value)
  // A reader of an object answers with one.
  return found === WRONG ? undefined : (found as JsonRecord)
}

function readerOf(type: ObjectType, isChecked: boolean): Reader {
  const known = isChecked ? checked : unchecked
  const present = known.get(type.name)
  if (present) return present
  // Types may contain themselves: whoever asks meanwhile gets one that looks the reader up.
  known.set(type.name, (value) => readerOf(type, isChecked)(value))
  const reader = objectReader(type, isChecked)
  known.set(type.name, reader)
  return reader
}

function objectReader(type: ObjectType, isChecked: boolean): Reader {
  const parts = new Map([...type.members].map(([name, member]) => [name, partOf(type, member, isChecked)]))
  const required = isChecked ? type.required : []
  const always = [...type.parts].map(([name, part]) => ({ name, read: readerOf(part, false) }))
  return (value) => {
    if (!isRecord(value)) return WRONG
    for (const name of required) if (!Object.hasOwn(value, name)) return WRONG
    // Most values are right as they are: a copy is made where something changes.
    let decoded = value
    for (const name in value) {
      const part = parts.get(name)
      if (!part) return WRONG
      const content = value[name]
      const found = content === null ? readNull(part, isChecked) : part.read(content)
      if (found === WRONG) return WRONG
      const isSaid = found !== undefined && !(part.hidesZero && isZero(found))
      if (isSaid && found === content) continue
      decoded = copyOnce(decoded, value)
      if (isSaid) decoded[name] = found
      else delete decoded[name]
    }
    for (const { name, read: readPart } of always) {
      if (decoded[name] !== undefined) continue
      decoded = copyOnce(decoded, value)
      decoded[name] = readPart({})
    }
    for (const name of type.texts) {
      if (decoded[name] !== undefined) continue
      decoded = copyOnce(decoded, value)
      decoded[name] = ''
    }
    return decoded
  }
}

/** What `null` is read as; `undefined` where that is nothing. */
function readNull({ mayBeNull: isFine, isClaim: isSaid }: Part, isChecked: boolean): unknown {
  if (isChecked && !isFine) return WRONG
  return isSaid ? '' : undefined
}

function partOf(type: ObjectType, member: Member, isChecked: boolean): Part {
  const { name } = member
  const reader = readerFor(member.type, isChecked)
  const isAddress = ADDRESSES.has(`${type.name} ${name}`)
  return {
    mayBeNull: mayBeNull(type, name),
    isClaim: isClaim(type, name),
    hidesZero: hidesZero(member) && !isClaim(type, name),
    read: isAddress ? (value) => canonicalOf(type, name, reader(value)) : reader,
  }
}

/** Members that `canonical` changes. */
const ADDRESSES = new Set([
  'PodNetwork vmNetworkCIDR',
  'DHCPOptions ntpServers',
  'core.PodDNSConfig nameservers',
])

function canonicalOf(type: ObjectType, name: string, found: unknown): unknown {
  return found === WRONG ? WRONG : canonical(type, name, found)
}

function readerFor(type: Type, isChecked: boolean): Reader {
  switch (type.kind) {
    case 'scalar':
      return scalarReader(type, isChecked)
    case 'list':
      return listReader(readerFor(type.items, isChecked))
    case 'map':
      return mapReader(readerFor(type.values, isChecked))
    case 'object':
      return readerOf(type, isChecked)
  }
}

function scalarReader({ scalar, words }: Extract<Type, { kind: 'scalar' }>, isChecked: boolean): Reader {
  const fits = FITS[scalar]
  const fitsShape = FITS_SHAPE[scalar]
  if (scalar === 'str' && !(isChecked && words)) return (value) => (typeof value === 'string' ? value : WRONG)
  if (scalar === 'bool') return (value) => (typeof value === 'boolean' ? value : WRONG)
  if (scalar === 'qty') return (value) => (isQuantity(value) ? String(value).trim() : WRONG)
  return (value) => {
    if (!fits(value)) return WRONG
    if (!isChecked) return value
    // A scalar with words is a text.
    return fitsShape(value) && (!words || words.has(value as string)) ? value : WRONG
  }
}

function listReader(readItem: Reader): Reader {
  return (value) => {
    if (!Array.isArray(value)) return WRONG
    let decoded: unknown[] = value
    for (let index = 0; index < value.length; index++) {
      const found = readItem(value[index])
      if (found === WRONG) return WRONG
      if (found === value[index]) continue
      if (decoded === value) decoded = value.slice()
      decoded[index] = found
    }
    return decoded
  }
}

function mapReader(readValue: Reader): Reader {
  return (value) => {
    if (!isRecord(value)) return WRONG
    let decoded = value
    for (const key in value) {
      const found = readValue(value[key])
      if (found === WRONG) return WRONG
      if (found === value[key]) continue
      decoded = copyOnce(decoded, value)
      // The member is there, so that this changes it, whatever its name.
      decoded[key] = found
    }
    return decoded
  }
}
