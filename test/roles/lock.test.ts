import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { DataDirInUse, holdDataDir } from '../../src/roles/lock.ts'

const me = { pid: process.pid, url: 'https://127.0.0.1:6443', since: '2026-01-01T00:00:00Z' }

test('a second holder of a data directory is refused and told who holds it', async () => {
  const root = await mkdtemp(join(tmpdir(), 'lock-'))
  await using _held = await holdDataDir(root, me)
  const refusal = await holdDataDir(root, me).catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(DataDirInUse)
  expect(String(refusal)).toContain(`process ${process.pid}, which serves https://127.0.0.1:6443`)
})

test('a data directory is free again once its holder has let go', async () => {
  const root = await mkdtemp(join(tmpdir(), 'lock-'))
  const first = await holdDataDir(root, me)
  await first[Symbol.asyncDispose]()
  await using second = await holdDataDir(root, me)
  expect(second).toBeDefined()
})

test('two data directories can be held at once', async () => {
  await using first = await holdDataDir(await mkdtemp(join(tmpdir(), 'lock-')), me)
  await using second = await holdDataDir(await mkdtemp(join(tmpdir(), 'lock-')), me)
  expect([first, second]).toHaveLength(2)
})
