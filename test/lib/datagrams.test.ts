import { describe, expect, test } from 'vitest'
import { DATAGRAM_LIMIT, datagramReader, frameDatagram } from '../../src/lib/datagrams.ts'

const SENT = [Buffer.from('one'), Buffer.alloc(0), Buffer.alloc(DATAGRAM_LIMIT, 7), Buffer.from('last')]

describe('datagrams on a byte stream', () => {
  test.each([1, 2, 3, 1000, 1_000_000])('come out as they went in, in pieces of %s bytes', async (size) => {
    const bytes = Buffer.concat(SENT.map(frameDatagram))
    const reader = datagramReader()
    const feed = async () => {
      for (let at = 0; at < bytes.length; at += size) {
        if (!reader.write(bytes.subarray(at, at + size))) await new Promise((go) => reader.once('drain', go))
      }
      reader.end()
    }
    const feeding = feed()
    const got: Buffer[] = []
    for await (const datagram of reader) got.push(Buffer.from(datagram))
    await feeding
    expect(got.map(({ length }) => length)).toEqual(SENT.map(({ length }) => length))
    expect(Buffer.concat(got).equals(Buffer.concat(SENT))).toBe(true)
  })

  test('are refused when no datagram could be that long', () => {
    expect(() => frameDatagram(Buffer.alloc(DATAGRAM_LIMIT + 1))).toThrow(RangeError)
  })
})
