import { open, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { lstatSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { copyImage } from '../../../src/controllers/claims/copy-image.ts'

const never = new AbortController().signal

async function scratch() {
  const dir = await mkdtemp(join(tmpdir(), 'vg-copy-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return { dir, from: join(dir, 'from'), to: join(dir, 'to') }
}

test('a copy has the holes of its source, and takes the place of what was there', async () => {
  const { dir, from, to } = await scratch()
  await using image = await open(from, 'w')
  await image.write('end', 64 * 2 ** 20)
  await writeFile(to, 'before')
  expect(await copyImage(from, to, never)).toBe(true)
  const { size, blocks } = await stat(to)
  expect(size).toBe(64 * 2 ** 20 + 3)
  expect(blocks * 512).toBeLessThan(2 ** 20)
  expect((await readdir(dir)).toSorted()).toEqual(['from', 'to'])
})

test('what was changed meanwhile is no copy, and what was there stays', async () => {
  const { dir, from, to } = await scratch()
  await using image = await open(from, 'w')
  // Long enough that the first look comes before the change, and the last one after.
  await image.write(Buffer.alloc(64 * 2 ** 20, 1))
  await writeFile(to, 'before')
  const copying = copyImage(from, to, never)
  let seconds = 0
  const changing = setInterval(() => utimesSync(from, 1, ++seconds), 1)
  expect(await copying).toBe(false)
  clearInterval(changing)
  expect(await readFile(to, 'utf8')).toBe('before')
  expect((await readdir(dir)).toSorted()).toEqual(['from', 'to'])
})

test('it can be given up, and what is wrong is said', async () => {
  const { dir, from, to } = await scratch()
  await expect(copyImage(from, to, never)).rejects.toThrow('ENOENT')
  await writeFile(from, 'text')
  await expect(copyImage(from, to, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
  await expect(copyImage(from, join(dir, 'absent', 'to'), never)).rejects.toThrow(/cp: .*No such file/)
})

test('a link is copied as one: who opens it refuses it', async () => {
  const { dir, from, to } = await scratch()
  await writeFile(join(dir, 'secret'), 'secret')
  await symlink(join(dir, 'secret'), from)
  await copyImage(from, to, never)
  expect(lstatSync(to).isSymbolicLink()).toBe(true)
})
