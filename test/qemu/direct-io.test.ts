import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { supportsDirectIo } from '../../src/qemu/direct-io.ts'

let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vg-'))
})

afterEach(() => rmSync(dir, { recursive: true, force: true }))

test('every file has to be one that can be opened past the cache', async () => {
  const file = join(dir, 'a')
  writeFileSync(file, '')
  const own = await supportsDirectIo(file)
  expect(typeof own).toBe('boolean')
  // procfs never can.
  expect(await supportsDirectIo(file, '/proc/version')).toBe(false)
  expect(existsSync(file)).toBe(true)
})

test('a file that is not there is an error, not an answer', async () => {
  await expect(supportsDirectIo(join(dir, 'none'))).rejects.toThrow(/ENOENT/)
})
