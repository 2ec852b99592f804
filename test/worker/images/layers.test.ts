import { buffer } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { ImageError } from '../../../src/worker/images/error.ts'
import { type Wanted, findFile } from '../../../src/worker/images/find.ts'
import { openLayout, writeBlob } from '../../../src/worker/images/layout.ts'
import { singleChunk } from '../../../src/worker/images/pull.ts'
import { type TarEntry, makeFolder, makeTar } from '../../helpers/images.ts'

const DISK: Wanted = { onlyFileBelow: '/disk' }

/** What is found in an image of these layers, the bottom one first: path and contents. */
async function find(
  layers: (readonly TarEntry[] | Buffer)[],
  wanted: Wanted,
  limits = { maxBytes: 100 * 1024 * 1024, maxEntries: 1000 },
): Promise<string> {
  await using folder = await makeFolder()
  const layout = await openLayout(folder.path)
  const descriptors = []
  for (const layer of layers) {
    const bytes = Buffer.isBuffer(layer) ? layer : gzipSync(await makeTar(layer))
    descriptors.push(await writeBlob(layout, singleChunk(bytes)))
  }
  let contents = ''
  const take = async (_file: unknown, body: AsyncIterable<Buffer>) => {
    contents = String(await buffer(Readable.from(body)))
  }
  const context = { layout, limits, where: 'image:test', signal: new AbortController().signal }
  const { path } = await findFile(descriptors, wanted, take, context)
  return `${path}=${contents}`
}

const refused = (text: RegExp) =>
  expect.objectContaining({
    name: 'ImageError',
    reason: 'ImageRejected',
    message: expect.stringMatching(text),
  })

const folder = (name: string): TarEntry => ({ name, type: 'directory' })
const file = (name: string, data: string): TarEntry => ({ name, data })
const link = (name: string, linkname: string): TarEntry => ({ name, type: 'symlink', linkname })

test.each<[string, TarEntry[][], Wanted, string]>([
  ['the only file', [[folder('disk'), file('disk/a.img', 'A')]], DISK, 'disk/a.img=A'],
  ['a name with a dot before it', [[folder('./disk/'), file('./disk/a.img', 'A')]], DISK, 'disk/a.img=A'],
  ['a name from the root', [[file('/disk/a.img', 'A')]], DISK, 'disk/a.img=A'],
  ['a file further down', [[file('disk/x/y/a.img', 'A')]], DISK, 'disk/x/y/a.img=A'],
  ['a file that a path names', [[file('disk/a', 'A'), file('disk/b', 'B')]], { file: '/disk/b' }, 'disk/b=B'],
  ['the upper of two', [[file('disk/a', 'old')], [file('disk/a', 'new')]], DISK, 'disk/a=new'],
  [
    'what a deletion leaves',
    [[file('disk/a', 'A'), file('disk/b', 'B')], [file('disk/.wh.a', '')]],
    DISK,
    'disk/b=B',
  ],
  [
    'what replaces a folder',
    [[file('disk/a', 'A')], [file('disk/.wh..wh..opq', ''), file('disk/b', 'B')]],
    DISK,
    'disk/b=B',
  ],
  [
    'a deletion in the same layer says nothing of it',
    [[file('disk/.wh.a', ''), file('disk/a', 'A')]],
    DISK,
    'disk/a=A',
  ],
  [
    'a folder deleted and made anew',
    [[file('disk/a', 'A')], [file('.wh.disk', '')], [file('disk/b', 'B')]],
    DISK,
    'disk/b=B',
  ],
  ['a file where a folder was', [[file('disk/a/x', 'X')], [file('disk/a', 'A')]], DISK, 'disk/a=A'],
  [
    'links elsewhere do not matter',
    [[link('etc/passwd', '/etc/shadow'), file('disk/a', 'A')]],
    DISK,
    'disk/a=A',
  ],
  [
    'a name alike does not matter',
    [[file('disk2/b', 'B'), file('diskx', 'x'), file('disk/a', 'A')]],
    DISK,
    'disk/a=A',
  ],
  [
    'a long name',
    [[file(`disk/${'n'.repeat(200)}/${'m'.repeat(90)}`, 'A')]],
    DISK,
    `disk/${'n'.repeat(200)}/${'m'.repeat(90)}=A`,
  ],
])('%s is found', async (_what, layers, wanted, found) => {
  expect(await find(layers, wanted)).toBe(found)
})

test.each<[string, TarEntry[][], Wanted, RegExp]>([
  ['no disk', [[folder('disk'), file('etc/x', '')]], DISK, /no disk/],
  ['two disks', [[file('disk/a', ''), file('disk/b', '')]], DISK, /more than one.*"\/disk\/a".*"\/disk\/b"/],
  ['two disks in two layers', [[file('disk/a', '')], [file('disk/b', '')]], DISK, /more than one/],
  ['a deleted disk', [[file('disk/a', '')], [file('disk/.wh.a', '')]], DISK, /no disk/],
  ['a deleted folder', [[file('disk/a', '')], [file('.wh.disk', '')]], DISK, /no disk/],
  ['a deleted file', [[file('disk/a', '')], [file('disk/.wh.a', '')]], { file: '/disk/a' }, /no file/],
  ['an emptied root', [[file('disk/a', '')], [file('.wh..wh..opq', '')]], { file: '/disk/a' }, /no file/],
  ['no such file', [[file('disk/a', '')]], { file: '/disk/b' }, /no file \/disk\/b/],
  ['a link to a file of the host', [[link('disk/a', '/etc/shadow')]], DISK, /symlink/],
  ['a link upwards', [[link('disk/a', '../../../etc/shadow')]], { file: '/disk/a' }, /symlink/],
  ['a link to the root of a process', [[link('disk/a', '/proc/self/root/etc/shadow')]], DISK, /symlink/],
  [
    'a link in the middle',
    [[link('disk', '/etc'), file('disk/shadow', 'x')]],
    { file: '/disk/shadow' },
    /on the way/,
  ],
  [
    'a link in an upper layer',
    [[file('disk/a', 'A')], [link('disk', '/etc')]],
    { file: '/disk/a' },
    /on the way/,
  ],
  ['a file in place of the folder', [[file('disk', 'x')]], DISK, /on the way/],
  [
    'a hard link',
    [[file('etc/x', 'x'), { name: 'disk/a', type: 'link', linkname: '/etc/shadow' }]],
    DISK,
    /is a link/,
  ],
  ['a device', [[{ name: 'disk/a', type: 'block-device', devmajor: 8, devminor: 0 }]], DISK, /block-device/],
  [
    'a character device',
    [[{ name: 'disk/a', type: 'character-device' }]],
    { file: '/disk/a' },
    /character-device/,
  ],
  ['a pipe', [[{ name: 'disk/a', type: 'fifo' }]], DISK, /fifo/],
  ['a folder in place of the file', [[folder('disk/a')]], { file: '/disk/a' }, /a folder/],
  ['the same file twice', [[file('disk/a', '1'), file('disk/a', '2')]], { file: '/disk/a' }, /twice/],
  [
    'a path that goes up',
    [[file('disk/../../etc/cron.d/x', 'x'), file('disk/a', 'A')]],
    DISK,
    /leaves the image/,
  ],
  ['a path that only goes up', [[file('../../x', 'x')]], { file: '/x' }, /leaves the image/],
])('%s is refused', async (_what, layers, wanted, message) => {
  await expect(find(layers, wanted)).rejects.toEqual(refused(message))
})

test.each(['disk/a', '/disk/../etc/shadow', '/disk/./a', '/', '', '/a\0b', '../a'])(
  'the path %j is refused',
  async (path) => {
    await expect(find([[file('disk/a', 'A')]], { file: path })).rejects.toEqual(refused(/no path/))
  },
)

test.each<[string, () => Promise<Buffer>, RegExp]>([
  ['no archive at all', async () => Buffer.alloc(4096, 'x'), /cannot be read/],
  ['nothing', async () => Buffer.alloc(0), /no disk/],
  ['a few bytes', async () => Buffer.from('ab'), /cannot be read/],
  [
    'gzip that is cut off',
    async () => gzipSync(await makeTar([file('disk/a', 'A'.repeat(9999))])).subarray(0, 60),
    /cannot be read/,
  ],
  [
    'gzip with a wrong sum',
    async () => spoil(gzipSync(await makeTar([file('disk/a', 'A')])), -6),
    /cannot be read/,
  ],
  [
    'an archive that is cut off',
    async () => (await makeTar([file('disk/a', 'A'.repeat(9999))])).subarray(0, 3000),
    /cannot be read/,
  ],
  ['a header with a wrong sum', async () => spoil(await makeTar([file('disk/a', 'A')]), 3), /cannot be read/],
  [
    'a bomb',
    async () => gzipSync(await makeTar([file('x', 'A'.repeat(2_000_000)), file('disk/a', 'A')])),
    /more than 1000000 bytes/,
  ],
  [
    'too many files',
    async () => makeTar(Array.from({ length: 101 }, (_, at) => file(`f${at}`, ''))),
    /more than 100 files/,
  ],
  ['zeroes without end', async () => gzipSync(Buffer.alloc(990_000)), /headers/],
  ['a name without end', async () => makeTar([{ name: `disk/${'n'.repeat(800_000)}` }]), /headers/],
])('a layer that is %s is refused', async (_what, make, message) => {
  const limits = { maxBytes: 1_000_000, maxEntries: 100 }
  await expect(find([await make()], DISK, limits)).rejects.toEqual(refused(message))
})

function spoil(bytes: Buffer, at: number): Buffer {
  const index = (at + bytes.length) % bytes.length
  bytes[index] = (bytes[index] ?? 0) ^ 0xff
  return bytes
}

test('reading ends when it is aborted', async () => {
  await using place = await makeFolder()
  const layout = await openLayout(place.path)
  const layer = await writeBlob(layout, singleChunk(await makeTar([file('disk/a', 'A'.repeat(5_000_000))])))
  const controller = new AbortController()
  const take = async (_file: unknown, body: AsyncIterable<Buffer>) => {
    for await (const chunk of body) if (chunk.length > 0) controller.abort(new Error('enough'))
  }
  const limits = { maxBytes: 1e9, maxEntries: 10 }
  const context = { layout, limits, where: 'image:test', signal: controller.signal }
  const found = findFile([layer], DISK, take, context)
  await expect(found).rejects.toThrow('enough')
  await expect(found).rejects.not.toBeInstanceOf(ImageError)
})
