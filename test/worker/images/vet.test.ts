import { execFileSync } from 'node:child_process'
import { open, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { runLimited } from '../../../src/worker/images/limited-child.ts'
import { type VetOptions, vetDisk } from '../../../src/worker/images/vet.ts'
import { makeFolder, openTestStore } from '../../helpers/images.ts'
import { requireQemu } from '../../helpers/guest.ts'

const refused = (text: RegExp, reason = 'ImageRejected') =>
  expect.objectContaining({ name: 'ImageError', reason, message: expect.stringMatching(text) })

let folder: Awaited<ReturnType<typeof makeFolder>>
beforeEach(async () => {
  folder = await makeFolder()
})
afterEach(async () => folder[Symbol.asyncDispose]())

const at = (name: string) => join(folder.path, name)
const qemuImg = (...args: string[]) => execFileSync('qemu-img', args, { cwd: folder.path, stdio: 'pipe' })

async function vet(name: string, options: Partial<VetOptions> = {}) {
  return vetDisk(at(name), { qemuImg: 'qemu-img', maxVirtualBytes: 2 ** 40, where: 'the disk', ...options })
}

/** Changes bytes of a file in place. */
async function patch(name: string, position: number, bytes: number[]): Promise<void> {
  await using handle = await open(at(name), 'r+')
  await handle.write(Buffer.from(bytes), 0, bytes.length, position)
}

requireQemu()('vetting', () => {
  test.each([
    ['qcow2', [], 'qcow2'],
    ['qcow2', ['-o', 'compat=0.10'], 'qcow2'],
    ['qcow2', ['-o', 'compression_type=zstd,extended_l2=on'], 'qcow2'],
    ['raw', [], 'raw'],
  ])('admits %s %j', async (format, options, found) => {
    qemuImg('create', '-f', format, ...options, 'disk', '8M')
    expect(await vet('disk')).toEqual({ format: found, virtualSizeBytes: 8 * 1024 * 1024 })
  })

  test('a raw disk is raw, whatever a guest writes into it later on', async () => {
    await writeFile(at('disk'), Buffer.alloc(1024, 'x'))
    expect(await vet('disk')).toEqual({ format: 'raw', virtualSizeBytes: 1024 })
  })

  test('a qcow2 image with a backing file is refused, whatever the file', async () => {
    qemuImg('create', '-f', 'raw', 'base', '8M')
    for (const base of [
      at('base'),
      '/etc/passwd',
      'json:{"driver":"file","filename":"/etc/passwd"}',
      'nbd://127.0.0.1/x',
    ]) {
      qemuImg('create', '-u', '-f', 'qcow2', '-b', base, '-F', 'raw', 'disk', '8M')
      await expect(vet('disk')).rejects.toEqual(refused(/backing file/))
    }
  })

  test('a qcow2 image with its data elsewhere is refused', async () => {
    qemuImg('create', '-f', 'qcow2', '-o', 'data_file=data,data_file_raw=on', 'disk', '8M')
    await expect(vet('disk')).rejects.toEqual(refused(/another file/))
  })

  test('an encrypted image is refused', async () => {
    const secret = 'secret,id=s,data=password'
    qemuImg(
      'create',
      '--object',
      secret,
      '-f',
      'qcow2',
      '-o',
      'encrypt.format=aes,encrypt.key-secret=s',
      'disk',
      '8M',
    )
    await expect(vet('disk')).rejects.toEqual(refused(/encrypted/))
  })

  test.each(['vmdk', 'vdi', 'vhdx', 'qed'])('%s is refused, with what to do', async (format) => {
    qemuImg('create', '-f', format, 'disk', '8M')
    await expect(vet('disk')).rejects.toEqual(refused(/qemu-img convert/))
  })

  test.each([
    ['gzip', [0x1f, 0x8b]],
    ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ])('a %s file is refused', async (name, magic) => {
    await writeFile(at('disk'), Buffer.concat([Buffer.from(magic), Buffer.alloc(1000)]))
    await expect(vet('disk')).rejects.toEqual(refused(new RegExp(name)))
  })

  test.each([
    ['an unknown feature', 72 + 6, [0x80], /unknown/],
    ['the mark of corruption', 72 + 7, [0b10], /corrupt/],
    ['a version of the future', 7, [9], /version 9/],
    ['a size that is too much', 24, [0, 0, 2, 0], /at most|usable/],
    ['clusters of no size', 20, [0, 0, 0, 1], /usable/],
    ['tables at the end of the world', 40, [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0], /usable/],
    ['a first table without end', 36, [0xff, 0xff, 0xff, 0xff], /usable/],
  ])('a qcow2 header with %s is refused', async (_what, position, bytes, message) => {
    qemuImg('create', '-f', 'qcow2', 'disk', '8M')
    await patch('disk', position, bytes)
    await expect(vet('disk')).rejects.toEqual(refused(message))
  })

  test('what is cut off, empty or too large is refused', async () => {
    qemuImg('create', '-f', 'qcow2', 'disk', '8M')
    await truncate(at('disk'), 100)
    await expect(vet('disk')).rejects.toEqual(refused(/cut off/))
    await truncate(at('disk'), 0)
    await expect(vet('disk')).rejects.toEqual(refused(/empty/))
    qemuImg('create', '-f', 'qcow2', 'disk', '2T')
    await expect(vet('disk')).rejects.toEqual(refused(/at most/))
  })

  test('a missing qemu-img is not the fault of the image', async () => {
    await writeFile(at('disk'), Buffer.alloc(512))
    await expect(vet('disk', { qemuImg: '/no/such/qemu-img' })).rejects.toEqual(
      refused(/qemu-utils/, 'ErrImagePull'),
    )
  })

  test("an image's disk is vetted, stated and kept as it is", async () => {
    await using opened = await openTestStore()
    qemuImg('create', '-f', 'qcow2', 'disk', '8M')
    const image = await opened.store.import('local/disk:1', [{ path: '/disk/a.qcow2', file: at('disk') }])
    const disk = await opened.store.disk(image)
    expect(disk).toMatchObject({ format: 'qcow2', virtualSizeBytes: 8 * 1024 * 1024 })
    expect((await readFile(disk.file)).equals(await readFile(at('disk')))).toBe(true)
    expect(await opened.store.disk(image, '/disk/a.qcow2')).toEqual(disk)
    await writeFile(at('bad'), 'KDMV'.repeat(200))
    const bad = await opened.store.import('local/disk:2', [{ path: '/disk/a.qcow2', file: at('bad') }])
    await expect(opened.store.disk(bad)).rejects.toEqual(refused(/VMDK.*|is a VMDK/))
  })
})

test('a disk of zeroes takes no room when it is taken out', async () => {
  await using opened = await openTestStore()
  const data = Buffer.alloc(8 * 1024 * 1024)
  data.write('start', 0)
  data.write('middle', 5_000_000)
  const image = await opened.store.import('local/disk:1', [{ path: '/disk/a.img', data }])
  const file = await opened.store.file(image, '/disk/a.img')
  expect((await readFile(file)).equals(data)).toBe(true)
  expect((await stat(file)).blocks * 512).toBeLessThan(1024 * 1024)
})

describe('a limited child', () => {
  const run = async (script: string, signal?: AbortSignal) => {
    await writeFile(at('input'), 'contents', { mode: 0o444 })
    await using handle = await open(at('input'), 'r')
    return await runLimited(['sh', '-c', script], handle, signal)
  }

  test('reads its file, and sees nothing of our environment', async () => {
    process.env.VIRTGATE_TEST_SECRET = 'secret'
    expect(await run('cat /proc/self/fd/3; env; pwd; ls /proc/self/fd | wc -l')).toMatch(
      /^contents(LC_ALL|PATH)/,
    )
    expect(await run('env')).not.toContain('secret')
    delete process.env.VIRTGATE_TEST_SECRET
  })

  test('is nobody where we are root', async () => {
    expect((await run('id -u')).trim()).toBe(process.getuid?.() === 0 ? '65534' : String(process.getuid?.()))
  })

  test('writes nowhere', async () => {
    await expect(run(`echo x > ${at('input')}`)).rejects.toThrow(/ermission|SIGXFSZ|exceeded/)
    await expect(run('f=$(mktemp) && echo x > $f; code=$?; rm -f $f; exit $code')).rejects.toThrow()
  })

  test('gets neither much memory nor much time', async () => {
    await expect(run('x=x; while :; do x=$x$x; done')).rejects.toThrow()
    const controller = new AbortController()
    setTimeout(() => controller.abort(new Error('enough')), 100)
    await expect(run('exec sleep 60', controller.signal)).rejects.toThrow(/abort/)
  })

  test('may not talk without end', async () => {
    await expect(run('exec yes')).rejects.toThrow('it printed too much')
  })
})
