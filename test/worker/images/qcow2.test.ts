import { expect, test } from 'vitest'
import { HEAD_BYTES, detectFormat } from '../../../src/worker/images/qcow2.ts'

/** The start of a sound qcow2 image, with some bytes changed. */
function header(position = 0, bytes: number[] = []): Buffer {
  const head = Buffer.alloc(HEAD_BYTES)
  head.write('QFI\xfb', 0, 'latin1')
  head.writeUInt32BE(3, 4)
  head.writeUInt32BE(16, 20)
  Buffer.from(bytes).copy(head, position)
  return head
}

// What qemu-img would follow has to be refused without its help.
test.each([
  ['the place of a backing file', 15, [1], /backing file/],
  ['the length of a backing file', 19, [1], /backing file/],
  ['encryption by AES', 35, [1], /encrypted/],
  ['encryption by LUKS', 35, [2], /encrypted/],
  ['data in another file', 79, [0b100], /another file/],
  ['corruption', 79, [0b10], /corrupt/],
  ['a feature of the future', 72, [1], /unknown/],
  ['version 1', 7, [1], /version 1/],
])('a qcow2 header with %s is refused from its bytes alone', (_what, position, bytes, message) => {
  expect(() => detectFormat(header(position, bytes), 'the disk')).toThrow(message)
})

test.each([
  ['nothing odd', 0, []],
  ['the dirty flag', 79, [0b1]],
  ['another compression', 79, [0b1000]],
  ['long entries', 79, [0b10000]],
])('a qcow2 header with %s is admitted', (_what, position, bytes) => {
  expect(detectFormat(header(position, bytes), 'the disk')).toBe('qcow2')
})

test('version 2 has no feature bits to look at', () => {
  const head = header(79, [0xff])
  head.writeUInt32BE(2, 4)
  expect(detectFormat(head, 'the disk')).toBe('qcow2')
})

test('what says nothing of itself is raw', () => {
  expect(detectFormat(Buffer.alloc(HEAD_BYTES), 'the disk')).toBe('raw')
  expect(detectFormat(Buffer.from('x'), 'the disk')).toBe('raw')
})
