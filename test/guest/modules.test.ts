import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadModules, openModuleTree } from '../../src/guest/modules.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virtgate-modules-'))
  await mkdir(join(folder, 'kernel/drivers'), { recursive: true })
  await writeFile(join(folder, 'modules.builtin'), 'kernel/fs/ext4/ext4.ko\nkernel/lib/crc-16.ko\n')
})
afterEach(async () => rm(folder, { recursive: true, force: true }))

const COMPRESSED = {
  '': (data: Buffer) => data,
  '.gz': gzipSync,
  '.zst': zstdCompressSync,
  '.xz': (data: Buffer) => execFileSync('xz', ['-c'], { input: data }),
}

/** A file with the strings that a module has in its `.modinfo`. */
async function addModule(file: string, depends: string, aliases: string[] = []): Promise<Buffer> {
  const strings = [...aliases.map((alias) => `alias=${alias}`), `depends=${depends}`, 'name=x', '']
  const data = Buffer.from(`\x7fELF\0binary\0${strings.join('\0')}`)
  const ending = /\.ko(.*)$/.exec(file)?.[1] as keyof typeof COMPRESSED // only these are used below
  await writeFile(join(folder, 'kernel/drivers', file), COMPRESSED[ending](data))
  return data
}

test('modules come after what they need, each once', async () => {
  await addModule('virtio_blk.ko', 'virtio,virtio-ring')
  await addModule('virtio.ko', 'virtio_ring')
  await addModule('virtio-ring.ko', '')
  await addModule('unused.ko', '')
  const tree = await openModuleTree(folder)
  const found = await loadModules(tree, ['virtio_blk', 'virtio-ring', 'virtio'])
  expect(found.map(({ name }) => name)).toEqual(['virtio_ring', 'virtio', 'virtio_blk'])
})

test('what the kernel has built in or does not know is left out', async () => {
  await addModule('vfat.ko', 'crc_16,ext4')
  const tree = await openModuleTree(folder)
  const found = await loadModules(tree, ['ext4', 'vfat', 'no_such_module'])
  expect(found.map(({ name }) => name)).toEqual(['vfat'])
})

test.each(['', '.gz', '.zst', '.xz'])('a module that ends in .ko%s is unpacked', async (ending) => {
  const data = await addModule(`isofs.ko${ending}`, '', ['fs-iso9660', 'iso9660'])
  const [module] = await loadModules(await openModuleTree(folder), ['isofs'])
  expect(module).toEqual({ name: 'isofs', data, depends: [], aliases: ['fs-iso9660', 'iso9660'] })
})
