import { Transform } from 'node:stream'

/** The largest payload of a UDP datagram. */
export const DATAGRAM_LIMIT = 65_507
const HEAD_BYTES = 2

/** A datagram on a byte stream: its length in two bytes, big-endian, then itself. Throws `RangeError` for a longer one. */
export function frameDatagram(datagram: Buffer): Buffer {
  if (datagram.length > DATAGRAM_LIMIT) throw new RangeError(`a datagram has at most ${DATAGRAM_LIMIT} bytes`)
  const head = Buffer.allocUnsafe(HEAD_BYTES)
  head.writeUInt16BE(datagram.length)
  return Buffer.concat([head, datagram])
}

/** Takes a byte stream apart: comes out as one chunk for each datagram, an empty one included. */
export function datagramReader(): Transform {
  let kept: Buffer = Buffer.alloc(0)
  return new Transform({
    readableObjectMode: true,
    readableHighWaterMark: 1,
    transform(chunk: Buffer, _encoding, done) {
      kept = kept.length > 0 ? Buffer.concat([kept, chunk]) : chunk
      while (kept.length >= HEAD_BYTES) {
        const end = HEAD_BYTES + kept.readUInt16BE()
        if (kept.length < end) break
        this.push(kept.subarray(HEAD_BYTES, end))
        kept = kept.subarray(end)
      }
      done()
    },
  })
}
