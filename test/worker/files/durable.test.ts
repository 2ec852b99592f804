import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { writeDurably } from '../../../src/worker/files/durable.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virtgate-durable-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

test('replaces a file whole, for its owner alone, and leaves nothing else', async () => {
  const file = join(folder, 'state.json')
  await writeDurably(file, 'long text')
  await writeDurably(file, 'new')
  expect(await readFile(file, 'utf8')).toBe('new')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await readdir(folder)).toEqual(['state.json'])
})

test('where it cannot be written the old text stays, and nothing else', async () => {
  await expect(writeDurably(join(folder, 'none', 'state.json'), 'x')).rejects.toThrow('ENOENT')
  const { chmod, mkdir } = await import('node:fs/promises')
  await mkdir(join(folder, 'taken.json'))
  await chmod(folder, 0o700)
  await expect(writeDurably(join(folder, 'taken.json'), 'x')).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/)
  expect(await readdir(folder)).toEqual(['taken.json'])
})
