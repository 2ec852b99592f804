/** The wire format of protocol buffers. Source: "Encoding" in the Protocol Buffers documentation. */

/** Bytes that are no message. */
export class WireError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'WireError'
  }
}

/** One field as it stands in a message: a number, or bytes that are a text, a message or a list of numbers. */
export interface WireField {
  number: number
  value: bigint | Buffer
}

const [VARINT, FIXED64, LENGTH, FIXED32] = [0, 1, 2, 5]
const LONGEST_VARINT = 10

/** The fields of a message in their order. Throws `WireError`. */
export function* readFields(bytes: Buffer): Iterable<WireField> {
  const cursor = { offset: 0 }
  while (cursor.offset < bytes.length) {
    const tag = Number(readVarint(bytes, cursor))
    yield { number: tag >>> 3, value: readValue(bytes, cursor, tag & 7) }
  }
}

interface Cursor {
  offset: number
}

function readValue(bytes: Buffer, cursor: Cursor, type: number): bigint | Buffer {
  switch (type) {
    case VARINT:
      return readVarint(bytes, cursor)
    case LENGTH:
      return take(bytes, cursor, Number(readVarint(bytes, cursor)))
    case FIXED64:
      return take(bytes, cursor, 8)
    case FIXED32:
      return take(bytes, cursor, 4)
    default:
      throw new WireError(`unknown wire type ${type}`)
  }
}

function readVarint(bytes: Buffer, cursor: Cursor): bigint {
  let value = 0n
  for (let index = 0; index < LONGEST_VARINT; index++) {
    const byte = bytes[cursor.offset]
    if (byte === undefined) break
    cursor.offset++
    value |= BigInt(byte & 0x7f) << BigInt(7 * index)
    if (byte < 0x80) return value
  }
  throw new WireError('a number is cut off or too long')
}

function take(bytes: Buffer, cursor: Cursor, length: number): Buffer {
  const end = cursor.offset + length
  if (end > bytes.length) throw new WireError('a field reaches beyond the end')
  const part = bytes.subarray(cursor.offset, end)
  cursor.offset = end
  return part
}
