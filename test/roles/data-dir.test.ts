import { chmod, lstat, mkdtemp, realpath, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { defaultDataDir, openDataDir } from '../../src/roles/data-dir.ts'

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'data-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

test('the default data directory follows XDG_DATA_HOME', () => {
  expect(defaultDataDir({ XDG_DATA_HOME: '/home/u/data' })).toBe('/home/u/data/virtgate')
})

test('socket paths of a guest stay below the limit of 108 bytes', async () => {
  const { run } = await openDataDir(join(await folder(), 'a-rather-long-name-for-a-data-directory'))
  const socket = join(run, 'worker-0', '01234567-89ab-cdef-0123-456789abcdef', 'qmp-aux.sock')
  expect(Buffer.byteLength(socket)).toBeLessThan(108)
})

test.runIf(process.getuid?.() === 0)(
  'guests of a data directory that others cannot reach stand where QEMU can reach them',
  async () => {
    const closed = await folder()
    await chmod(closed, 0o700)
    const { root, guests } = await openDataDir(join(closed, 'data'))
    onTestFinished(() => rm(guests, { recursive: true, force: true }))
    expect(guests.startsWith('/var/lib/virtgate/')).toBe(true)
    expect((await lstat(join(root, 'guests'))).isSymbolicLink()).toBe(true)
    expect((await stat(guests)).mode & 0o001).toBe(1)
  },
)

test('opening the same data directory twice gives the same places', async () => {
  const path = await folder()
  await chmod(path, 0o755)
  const first = await openDataDir(path)
  expect(await openDataDir(path)).toEqual(first)
  expect(first.root).toBe(await realpath(path))
})
