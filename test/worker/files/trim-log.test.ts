import { closeSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { lastQemuError } from '../../../src/qemu/log.ts'
import { trimLog } from '../../../src/worker/files/trim-log.ts'

let dir: string
let file: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'vg-trim-'))
  file = join(dir, 'qemu.log')
})
afterEach(() => rm(dir, { recursive: true }))

const line = (number: number) => `${String(number).padStart(9, '0')}\n`
const numbers = () => readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number)

test('what another process appends to is cut to its last half, in whole lines, and goes on', async () => {
  const fd = openSync(file, 'a')
  try {
    for (let number = 0; number < 100; number += 1) writeSync(fd, line(number))
    expect(await trimLog(file, 1000)).toBe(false)
    writeSync(fd, line(100))
    expect(await trimLog(file, 1000)).toBe(true)
    expect(numbers()).toEqual(Array.from({ length: 49 }, (_, index) => 52 + index))
    writeSync(fd, line(101))
    expect(numbers().at(-1)).toBe(101)
    // No hole is left at the head: the writer is at the end again.
    expect(statSync(file).size).toBe(500)
  } finally {
    closeSync(fd)
  }
})

test('a file that is missing is none to cut', async () => {
  expect(await trimLog(file, 1000)).toBe(false)
})

test('why QEMU has ended is found in a log that was cut since it started', async () => {
  await writeFile(file, 'qemu-system-x86_64: warning: much\n'.repeat(100))
  const { size: offset } = statSync(file)
  await trimLog(file, 1000)
  await writeFile(file, 'qemu-system-x86_64: no more memory\n', { flag: 'a' })
  expect(await lastQemuError(file, offset)).toBe('no more memory')
})
