import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { expect, test } from 'vitest'
import { gatheringSink } from '../../src/lib/gathering-sink.ts'

const KIB = 1024

/** A sink that takes one piece each time it is told to, and what it has got. */
function slowSink(highWaterMark = 128 * KIB) {
  const got: Buffer[] = []
  const waiting: ((error?: Error) => void)[] = []
  const sink = gatheringSink(highWaterMark, (piece, done) => {
    got.push(piece)
    waiting.push(done)
  })
  return { sink, got, go: (error?: Error) => waiting.shift()?.(error) }
}

test('a piece that comes alone is taken at once and not copied', () => {
  const { sink, got } = slowSink()
  const piece = Buffer.from('a')
  sink.write(piece)
  expect(got).toHaveLength(1)
  expect(got[0]).toBe(piece)
})

test('pieces that come while one is being taken are joined, in their order', () => {
  const { sink, got, go } = slowSink()
  for (const text of ['a', 'b', 'c', 'd']) sink.write(Buffer.from(text))
  go()
  expect(got.map(String)).toEqual(['a', 'bcd'])
})

test('joined pieces have at most 64 KiB, larger ones stay as they are, one at a time is taken', () => {
  const { sink, got, go } = slowSink()
  for (const kib of [1, 40, 20, 20, 70, 3]) sink.write(Buffer.alloc(kib * KIB))
  go()
  expect(got).toHaveLength(2)
  for (let count = 0; count < 4; count += 1) go()
  expect(got.map(({ length }) => length / KIB)).toEqual([1, 60, 20, 70, 3])
})

test('a reader that is slow stops the writer', () => {
  const { sink } = slowSink(4 * KIB)
  expect(sink.write(Buffer.alloc(3 * KIB))).toBe(true)
  expect(sink.write(Buffer.alloc(3 * KIB))).toBe(false)
  expect(sink.writableLength).toBe(6 * KIB)
})

test('nothing is taken after one piece has failed, and the stream fails with that', async () => {
  const { sink, got, go } = slowSink()
  const failed = new Promise<Error>((resolve) => sink.once('error', resolve))
  for (const kib of [1, 60, 60]) sink.write(Buffer.alloc(kib * KIB))
  go()
  go(new Error('gone'))
  expect((await failed).message).toBe('gone')
  expect(got).toHaveLength(2)
})

test('all that was sent is taken before the stream ends', async () => {
  const got: Buffer[] = []
  const sink = gatheringSink(KIB, (piece, done) => {
    got.push(piece)
    setImmediate(done)
  })
  const sent = Array.from({ length: 500 }, (_, index) => Buffer.alloc(index, index % 256))
  await pipeline(Readable.from(sent), sink)
  expect(Buffer.concat(got).equals(Buffer.concat(sent))).toBe(true)
})
