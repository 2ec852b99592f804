import { parseExact } from '../../lib/exact-json.ts'
import { isRecord, setMember, type JsonRecord } from '../../lib/json.ts'
import { checkDepth } from '../http/depth.ts'
import { WIRE, WireError, WireReader } from './reader.ts'
import { BYTES, INTEGER, list, TEXT, type Fields, type Scalar, type Shape } from './shapes.ts'

/**
 * Adds what a message says to `target`, as JSON. Fields that `fields` does not name are passed over.
 *
 * Throws `WireError`, or a 400 for JSON inside that is nested too deeply.
 */
export function readFields(reader: WireReader, fields: Fields, target: JsonRecord = {}): JsonRecord {
  while (!reader.isAtEnd) {
    const tag = reader.readTag()
    const field = fields[tag.number]
    if (!field) {
      reader.skip(tag)
      continue
    }
    const [name, shape] = field
    checkWire(shape, tag.wire, name)
    const value = readValue(reader, shape, target[name])
    if (!isLeftOut(shape, value)) target[name] = value
    else if (Object.hasOwn(target, name)) delete target[name]
  }
  return target
}

function checkWire(shape: Shape, wire: number, name: string): void {
  const expected = shape.is === 'flag' || shape.is === 'integer' ? WIRE.varint : WIRE.bytes
  if (wire !== expected) throw new WireError(`${name} has wire type ${wire} instead of ${expected}`)
}

/** Go writes what is unset as empty, and leaves that out of JSON. */
function isLeftOut(shape: Shape, value: unknown): boolean {
  if (value === null) return true
  if ('isKept' in shape) return false
  return value === '' || value === 0 || value === false
}

/** The value of one occurrence, on top of what came `before`: lists and maps grow, messages are merged. */
function readValue(reader: WireReader, shape: Shape, before?: unknown): unknown {
  switch (shape.is) {
    case 'message':
      return readFields(reader.readMessage(), shape.fields, isRecord(before) ? before : {})
    case 'list': {
      const elements: unknown[] = Array.isArray(before) ? before : []
      elements.push(readValue(reader, shape.of))
      return elements
    }
    case 'map':
      return readEntry(reader.readMessage(), shape.of, isRecord(before) ? before : {})
    default:
      return readScalar(reader, shape.is)
  }
}

/** An entry of a map is a message: the key, then the value. Either is empty where it is missing. */
function readEntry(reader: WireReader, shape: Shape, entries: JsonRecord): JsonRecord {
  let key = ''
  let value: unknown
  while (!reader.isAtEnd) {
    const tag = reader.readTag()
    if (tag.number === 1) {
      checkWire(TEXT, tag.wire, 'the key of a map')
      key = reader.readText()
    } else if (tag.number === 2) {
      checkWire(shape, tag.wire, 'the value of a map')
      value = readValue(reader, shape, value)
    } else reader.skip(tag)
  }
  setMember(entries, key, value ?? readValue(new WireReader(Buffer.of(0)), shape))
  return entries
}

function readScalar(reader: WireReader, scalar: Scalar): unknown {
  switch (scalar) {
    case 'text':
      return reader.readText()
    case 'bytes':
      return reader.readBytes().toString('base64')
    case 'flag':
      return reader.readFlag()
    case 'integer':
      return reader.readInteger()
    case 'time':
      return readTime(reader.readMessage(), 0)
    case 'microTime':
      return readTime(reader.readMessage(), 6)
    case 'quantity':
      return readOnly(reader, TEXT) ?? '0'
    case 'json':
      return parseInner(findBytes(reader.readMessage(), 1))
    case 'texts':
      return readOnly(reader, list(TEXT)) ?? []
  }
}

/** The value of the one field of a message that is there to hold it. */
function readOnly(reader: WireReader, shape: Shape): unknown {
  return readFields(reader.readMessage(), { 1: ['value', shape] })['value']
}

/** The bytes of the field with that number, without a copy: the last, where there are many. Throws `WireError`. */
export function findBytes(reader: WireReader, number: number): Buffer | undefined {
  let found: Buffer | undefined
  while (!reader.isAtEnd) {
    const tag = reader.readTag()
    if (tag.number !== number) reader.skip(tag)
    else {
      checkWire(BYTES, tag.wire, `field ${number}`)
      found = reader.readBytes()
    }
  }
  return found
}

function parseInner(bytes: Buffer | undefined): unknown {
  if (!bytes || bytes.length === 0) return null
  const text = bytes.toString('utf8')
  checkDepth(text)
  try {
    return parseExact(text)
  } catch (error) {
    throw new WireError(`JSON inside is not valid: ${(error as SyntaxError).message}`)
  }
}

/** The first second of year 1, which Go takes for no time at all, and the last of year 9999, the end of RFC 3339. */
const [UNSET_SECONDS, LAST_SECONDS] = [-62_135_596_800, 253_402_300_799]

/** Null where it is unset: Go writes that as an empty message. */
function readTime(reader: WireReader, digits: number): string | null {
  if (reader.isAtEnd) return null
  const { seconds = 0, nanos = 0 } = readFields(reader, { 1: ['seconds', INTEGER], 2: ['nanos', INTEGER] })
  const [second, nano] = [Number(seconds), Number(nanos)]
  if (second < UNSET_SECONDS || second > LAST_SECONDS || nano < 0 || nano >= 1e9) {
    throw new WireError('a time is not within the years 1 to 9999')
  }
  if (second === UNSET_SECONDS && nano === 0) return null
  const fraction = digits > 0 ? `.${String(nano).padStart(9, '0').slice(0, digits)}` : ''
  return `${new Date(second * 1000).toISOString().slice(0, 19)}${fraction}Z`
}
