import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { type Header, pack } from 'tar-stream'
import { type Descriptor, OCI_MANIFEST } from '../../src/worker/images/manifest.ts'
import { type ImageStore, type ImageStoreOptions, openImageStore } from '../../src/worker/images/store.ts'

/** An entry of a layer: a plain file unless its header says otherwise. */
export type TarEntry = Partial<Header> & { name: string; data?: Buffer | string }

/** A blob with what points at it. */
export interface Blob {
  descriptor: Descriptor
  bytes: Buffer
}

/** An image as a registry holds it: the manifest, and all it points at. */
export interface TestImage {
  manifest: Blob
  blobs: Blob[]
}

/** A tar archive of exactly these entries, hostile ones included. */
export async function makeTar(entries: readonly TarEntry[]): Promise<Buffer> {
  const archive = pack()
  for (const { data = '', ...header } of entries) archive.entry({ mtime: new Date(0), ...header }, data)
  archive.finalize()
  return buffer(archive)
}

/** A blob of these bytes. */
export function makeBlob(mediaType: string, bytes: Buffer): Blob {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  return { descriptor: { mediaType, digest, size: bytes.length }, bytes }
}

const COMPRESSED = {
  '': (bytes: Buffer) => bytes,
  '+gzip': (bytes: Buffer) => gzipSync(bytes),
  '+zstd': (bytes: Buffer) => zstdCompressSync(bytes),
}

/** An image with these layers, the bottom one first. */
export async function makeTestImage(
  layers: readonly (readonly TarEntry[])[],
  compression: keyof typeof COMPRESSED = '+gzip',
): Promise<TestImage> {
  const tars = await Promise.all(layers.map(makeTar))
  const made = tars.map((tar) =>
    makeBlob(`application/vnd.oci.image.layer.v1.tar${compression}`, COMPRESSED[compression](tar)),
  )
  return imageOf(made)
}

/** An image of layers that are made already. */
export function imageOf(layers: readonly Blob[]): TestImage {
  const config = makeBlob('application/vnd.oci.image.config.v1+json', Buffer.from('{"os":"linux"}'))
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: config.descriptor,
    layers: layers.map(({ descriptor }) => descriptor),
  }
  return {
    manifest: makeBlob(OCI_MANIFEST, Buffer.from(JSON.stringify(manifest))),
    blobs: [config, ...layers],
  }
}

/** A folder that is gone when it is disposed of. */
export async function makeFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'virtgate-images-'))
  return { path, [Symbol.asyncDispose]: async () => rm(path, { recursive: true, force: true }) }
}

/** A store in a folder of its own, which goes with it. It does not wait between tries. */
export async function openTestStore(
  options: Partial<ImageStoreOptions> = {},
): Promise<AsyncDisposable & { store: ImageStore; dir: string; waits: number[] }> {
  const folder = await makeFolder()
  const waits: number[] = []
  const store = await openImageStore({
    dir: folder.path,
    log: { info: () => {}, warn: () => {} },
    sleep: async (ms) => void waits.push(ms),
    ...options,
  })
  const dispose = async () => {
    await store[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  }
  return { store, dir: folder.path, waits, [Symbol.asyncDispose]: dispose }
}
