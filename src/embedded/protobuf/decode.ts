import { badRequest, unsupportedMediaType } from '../../lib/errors.ts'
import { setMember, type JsonRecord } from '../../lib/json.ts'
import { isKnownMessage, MESSAGES } from './messages.ts'
import { readFields, WireError } from './wire.ts'

/** The media type of Kubernetes' envelope around a message. */
export const PROTOBUF = 'application/vnd.kubernetes.protobuf'

/** What such a body begins with. */
const MAGIC = Buffer.from('k8s\0')

/**
 * The object in a body of Kubernetes' protocol buffers, as its JSON would be.
 *
 * Throws 400 where it cannot be read, 415 where it holds a kind, or a field, that this server takes as JSON alone.
 */
export function decodeObject(body: Buffer): JsonRecord {
  try {
    return decodeEnvelope(body)
  } catch (error) {
    if (error instanceof WireError) throw badRequest(`the body is not valid protobuf: ${error.message}`)
    throw error
  }
}

/** Source: `runtime.Unknown` in k8s.io/apimachinery. */
function decodeEnvelope(body: Buffer): JsonRecord {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) throw new WireError('it does not begin as Kubernetes has it')
  const fields = new Map<number, Buffer | bigint>()
  for (const { number, value } of readFields(body.subarray(MAGIC.length))) fields.set(number, value)
  const { apiVersion, kind } = decodeType(bytesOf(fields.get(1)))
  if (!isKnownMessage(apiVersion, kind)) {
    throw unsupportedMediaType(
      `${apiVersion} ${kind} is taken as JSON or YAML alone: send application/json or application/yaml`,
    )
  }
  return { apiVersion, kind, ...decodeMessage(kind, bytesOf(fields.get(2))) }
}

function decodeType(bytes: Buffer): { apiVersion: string; kind: string } {
  const type = { apiVersion: '', kind: '' }
  for (const { number, value } of readFields(bytes)) {
    if (number === 1) type.apiVersion = textOf(value)
    if (number === 2) type.kind = textOf(value)
  }
  return type
}

function decodeMessage(name: string, bytes: Buffer): JsonRecord {
  const known = MESSAGES[name]
  if (!known) throw new Error(`${name} refers to no message`)
  const object: JsonRecord = {}
  for (const { number, value } of readFields(bytes)) {
    const field = known[number]
    // Dropping what a newer client says would be worse than refusing it.
    if (field === undefined) {
      throw unsupportedMediaType(`field ${number} of ${name} is not known in protobuf: send application/json`)
    }
    const [member = '', type = ''] = field.split(':', 2)
    decodeField(object, member, type, value)
  }
  return object
}

type Raw = bigint | Buffer

function decodeField(object: JsonRecord, member: string, type: string, raw: Raw): void {
  const element = /^\[(.*)\]$/.exec(type)?.[1]
  if (element !== undefined) {
    object[member] = [...listOf(object[member]), decodeValue(element, raw)]
    return
  }
  const entry = /^\{(.*)\}$/.exec(type)?.[1]
  if (entry !== undefined) {
    const map = (object[member] ??= {}) as JsonRecord
    addEntry(map, entry, bytesOf(raw))
    return
  }
  const value = decodeValue(type, raw)
  // Go writes what is empty, and leaves it out of JSON.
  if (value !== undefined && value !== '') object[member] = value
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

/** A map is a list of messages with a key and a value each. */
function addEntry(map: JsonRecord, type: string, bytes: Buffer): void {
  let key = ''
  let value: unknown = decodeValue(type, Buffer.alloc(0))
  for (const field of readFields(bytes)) {
    if (field.number === 1) key = textOf(field.value)
    if (field.number === 2) value = decodeValue(type, field.value)
  }
  setMember(map, key, value)
}

function decodeValue(type: string, raw: Raw): unknown {
  switch (type) {
    case 'ignored':
      return undefined
    case 'text':
      return textOf(raw)
    case 'bool':
      return numberOf(raw) !== 0
    case 'int':
      return numberOf(raw)
    case 'size':
      return numberOf(raw) || undefined
    case 'bytes':
      return bytesOf(raw).toString('base64')
    case 'time':
      return timeOf(bytesOf(raw), 0)
    case 'microtime':
      return timeOf(bytesOf(raw), 6)
    case 'quantity':
      return textOf(firstField(bytesOf(raw)) ?? Buffer.alloc(0))
    case 'texts':
      return [...readFields(bytesOf(raw))].map(({ value }) => textOf(value))
    default:
      return decodeMessage(type, bytesOf(raw))
  }
}

function firstField(bytes: Buffer): Raw | undefined {
  const [first] = [...readFields(bytes)]
  return first?.value
}

function bytesOf(raw: Raw | undefined): Buffer {
  if (raw === undefined) return Buffer.alloc(0)
  if (typeof raw === 'bigint') throw new WireError('a number stands where a text or a message should')
  return raw
}

function textOf(raw: Raw): string {
  return bytesOf(raw).toString('utf8')
}

function numberOf(raw: Raw): number {
  if (typeof raw !== 'bigint') throw new WireError('a text or a message stands where a number should')
  return Number(BigInt.asIntN(64, raw))
}

/** A moment in RFC 3339 with that many digits after the second; nothing where it is not set. */
function timeOf(bytes: Buffer, digits: number): string | undefined {
  let [seconds, nanos] = [0, 0]
  for (const { number, value } of readFields(bytes)) {
    if (number === 1) seconds = numberOf(value)
    if (number === 2) nanos = numberOf(value)
  }
  if (bytes.length === 0) return undefined
  const date = new Date(seconds * 1000)
  if (Number.isNaN(date.getTime())) throw new WireError('a moment is out of range')
  const fraction = digits > 0 ? `.${String(nanos).padStart(9, '0').slice(0, digits)}` : ''
  return `${date.toISOString().slice(0, 19)}${fraction}Z`
}
