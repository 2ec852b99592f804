import { expect, test } from 'vitest'
import { buildBootDisk } from '../../src/qemu/boot-sector.ts'

test('a disk has a sector that a BIOS takes for bootable, with the text behind the code', () => {
  const disk = buildBootDisk('HELLO')
  expect(disk).toHaveLength(1024 * 1024)
  expect([disk[510], disk[511]]).toEqual([0x55, 0xaa])
  expect(disk.subarray(41, 47).toString('latin1')).toBe('HELLO\0')
})

test('a text that does not fit is refused', () => {
  expect(() => buildBootDisk('x'.repeat(469))).toThrow(RangeError)
  expect(() => buildBootDisk('x'.repeat(468))).not.toThrow()
})
