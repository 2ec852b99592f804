import { isUtf8 } from 'node:buffer'

/** Bytes that are no message, and where that shows. `decode.ts` makes a 400 of it. */
export class WireError extends Error {
  constructor(message: string, offset?: number) {
    super(offset === undefined ? message : `${message} at byte ${offset}`)
    this.name = 'WireError'
  }
}

/** How a value is written, as its tag says. Source: "Encoding" in the documentation of Protocol Buffers. */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, groupStart: 3, groupEnd: 4, fixed32: 5 } as const

/** A field's number, and how its value is written. */
export interface Tag {
  number: number
  wire: number
}

const LONGEST_VARINT = 10
const HIGHEST_FIELD = 2 ** 29 - 1
/** Groups in groups that are skipped. Nobody writes them; without a limit a few bytes exhaust the stack. */
const DEPTH_LIMIT = 64

/**
 * Reads the fields of one message from front to back, copying nothing.
 *
 * Every method throws `WireError` where the bytes end too early or make no sense.
 */
export class WireReader {
  readonly #bytes: Buffer
  readonly #end: number
  #offset: number

  /** `start` and `end` are offsets into `bytes`; so is what errors say. */
  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes
    this.#offset = start
    this.#end = end
  }

  /** Whether all has been read. */
  get isAtEnd(): boolean {
    return this.#offset >= this.#end
  }

  readTag(): Tag {
    const start = this.#offset
    const tag = this.#readSmall()
    const number = Math.floor(tag / 8)
    if (number < 1 || number > HIGHEST_FIELD) throw new WireError('a field has no valid number', start)
    return { number, wire: tag % 8 }
  }

  /** An `int32` or `int64`: a `bigint` where JavaScript's numbers would round it, as `parseExact` has it. */
  readInteger(): number | bigint {
    const exact = BigInt.asIntN(64, this.#readVarint())
    const number = Number(exact)
    // What is written as it came is exact.
    return String(number) === String(exact) ? number : exact
  }

  readFlag(): boolean {
    return this.#readVarint() !== 0n
  }

  /** The message inside, for a reader of its own. */
  readMessage(): WireReader {
    const [start, end] = this.#readSpan()
    return new WireReader(this.#bytes, start, end)
  }

  readBytes(): Buffer {
    return this.#bytes.subarray(...this.#readSpan())
  }

  readText(): string {
    const start = this.#offset
    const bytes = this.readBytes()
    if (!isUtf8(bytes)) throw new WireError('a text is not UTF-8', start)
    return bytes.toString('utf8')
  }

  /** Passes over the value of a field that nobody asks for. */
  skip({ number, wire }: Tag, depth = 0): void {
    switch (wire) {
      case WIRE.varint:
        this.#readVarint()
        return
      case WIRE.fixed64:
        this.#advance(8)
        return
      case WIRE.bytes:
        this.#readSpan()
        return
      case WIRE.fixed32:
        this.#advance(4)
        return
      case WIRE.groupStart:
        this.#skipGroup(number, depth + 1)
        return
      default:
        throw new WireError(`a field has the wire type ${wire}, which does not belong here`, this.#offset)
    }
  }

  #skipGroup(number: number, depth: number): void {
    if (depth > DEPTH_LIMIT) {
      throw new WireError(`groups are nested more than ${DEPTH_LIMIT} levels deep`, this.#offset)
    }
    for (;;) {
      const tag = this.readTag()
      if (tag.wire !== WIRE.groupEnd) this.skip(tag, depth)
      else if (tag.number === number) return
      else throw new WireError('a group ends that has not begun', this.#offset)
    }
  }

  #readVarint(): bigint {
    const start = this.#offset
    let value = 0n
    for (let index = 0; index < LONGEST_VARINT; index++) {
      const byte = this.#readByte(start)
      value |= BigInt(byte & 0x7f) << BigInt(7 * index)
      if (byte < 0x80) return value
    }
    throw new WireError('a number is too long', start)
  }

  /** A tag or a length: those fit a number, which is much faster than a bigint. */
  #readSmall(): number {
    const start = this.#offset
    let value = 0
    for (let scale = 1; scale <= 2 ** 28; scale *= 2 ** 7) {
      const byte = this.#readByte(start)
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
    throw new WireError('a tag or a length is too long', start)
  }

  #readByte(start: number): number {
    const byte = this.#offset < this.#end ? this.#bytes[this.#offset++] : undefined
    if (byte === undefined) throw new WireError('a number is cut off', start)
    return byte
  }

  #readSpan(): [start: number, end: number] {
    const length = this.#readSmall()
    const start = this.#offset
    this.#advance(length)
    return [start, this.#offset]
  }

  #advance(length: number): void {
    if (length > this.#end - this.#offset) throw new WireError('a value is cut off', this.#offset)
    this.#offset += length
  }
}
