import { createHash, randomUUID } from 'node:crypto'
import {
  type FileHandle,
  mkdir,
  open,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { pullFailed } from './error.ts'
import type { Descriptor } from './manifest.ts'

/** The folders of a store. */
export interface Layout {
  root: string
  blobs: string
  /** One file per reference. */
  references: string
  /** Files taken out of layers, for QEMU to open. */
  extracted: string
  /** One file for each image that somebody has. */
  uses: string
  /** What is being written; nothing here outlives the process that writes it. */
  scratch: string
}

/**
 * Makes the folders of a store where they are missing, and removes what crashed processes left half-written.
 *
 * The store is an "OCI Image Layout" with folders of our own beside it. Several processes may use it at once.
 */
export async function openLayout(root: string): Promise<Layout> {
  const layout: Layout = {
    root,
    blobs: join(root, 'blobs', 'sha256'),
    references: join(root, 'references'),
    extracted: join(root, 'extracted'),
    uses: join(root, 'uses'),
    scratch: join(root, 'scratch', await processName(process.pid)),
  }
  // QEMU's own user passes through to the extracted files, whose names it is told; nobody can list them.
  await mkdir(root, { recursive: true, mode: 0o711 })
  await mkdir(layout.extracted, { recursive: true, mode: 0o711 })
  await removeLeftovers(join(root, 'scratch'))
  for (const folder of [layout.blobs, layout.references, layout.uses, layout.scratch]) {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  }
  await writeFile(join(root, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}\n')
  return layout
}

/** A name that no other process ever has: its id and the moment it started. */
async function processName(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The program's name stands in parentheses and may hold anything; the start time is the 20th field after it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return `${pid}-${fields[19]}`
}

async function removeLeftovers(scratch: string): Promise<void> {
  await mkdir(scratch, { recursive: true, mode: 0o700 })
  for (const name of await readdir(scratch)) {
    const now = await processName(Number.parseInt(name, 10)).catch(() => undefined)
    if (now !== name) await rm(join(scratch, name), { recursive: true, force: true })
  }
}

const PULLING = 'pulling-'

/** Tells all processes that share the store, until it is disposed of, that blobs come which belong to no image yet. */
export async function markPulling({ scratch }: Layout): Promise<AsyncDisposable> {
  const path = join(scratch, `${PULLING}${randomUUID()}`)
  await writeFile(path, '')
  return { [Symbol.asyncDispose]: () => rm(path, { force: true }) }
}

/** Whether any process is pulling into the store. */
export async function isPulling({ root }: Layout): Promise<boolean> {
  await removeLeftovers(join(root, 'scratch'))
  const entries = await readdir(join(root, 'scratch'), { recursive: true, withFileTypes: true })
  return entries.some(({ name }) => name.startsWith(PULLING))
}

/** A new file in the scratch folder that becomes a finished one, or is removed with this object. */
export class ScratchFile implements AsyncDisposable {
  readonly handle: FileHandle
  readonly path: string
  #open = true

  private constructor(handle: FileHandle, path: string) {
    this.handle = handle
    this.path = path
  }

  static async create({ scratch }: Layout): Promise<ScratchFile> {
    const path = join(scratch, randomUUID())
    return new ScratchFile(await open(path, 'wx+', 0o600), path)
  }

  /** Brings the bytes to the disk and gives the file its place. What is there is replaced. */
  async keepAs(target: string, mode: number): Promise<void> {
    await this.handle.chmod(mode)
    await this.handle.sync()
    await this.#close()
    await rename(this.path, target)
  }

  async #close(): Promise<void> {
    if (this.#open) await this.handle.close()
    this.#open = false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
    await rm(this.path, { force: true })
  }
}

/** Brings a folder's list of names to the disk, so that a rename in it survives a loss of power. */
export async function syncFolder(path: string): Promise<void> {
  await using handle = await open(path, 'r')
  await handle.sync()
}

/** Where the blob of a digest stands, or would. */
export function blobPath({ blobs }: Layout, digest: string): string {
  return join(blobs, digest.slice('sha256:'.length))
}

/** Whether a blob is here. All that is here was checked when it was written. */
export async function hasBlob(layout: Layout, { digest, size }: Descriptor): Promise<boolean> {
  return stat(blobPath(layout, digest)).then(
    (found) => found.size === size,
    () => false,
  )
}

/** What a blob has to be, and who hears about its bytes. */
export interface BlobExpectation {
  /** `undefined` for a blob we make ourselves, which is whatever it turns out to be. */
  expected?: Descriptor
  mediaType?: string
  onBytes?: (count: number) => void
}

/** The bytes that came are not those that were announced. */
export class WrongContent extends Error {
  override readonly name = 'WrongContent'
}

/**
 * Writes a blob as its bytes come, and keeps it if size and digest are as expected.
 *
 * Throws `WrongContent` where they are not, and what `source` throws.
 */
export async function writeBlob(
  layout: Layout,
  source: AsyncIterable<Buffer>,
  { expected, mediaType = 'application/octet-stream', onBytes }: BlobExpectation = {},
): Promise<Descriptor> {
  await using file = await ScratchFile.create(layout)
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of source) {
    size += chunk.length
    if (expected && size > expected.size) throw new WrongContent(`it is longer than ${expected.size} bytes`)
    hash.update(chunk)
    await writeAll(file.handle, chunk)
    onBytes?.(chunk.length)
  }
  const digest = `sha256:${hash.digest('hex')}`
  if (expected && size !== expected.size) {
    throw new WrongContent(`it ended after ${size} of ${expected.size} bytes`)
  }
  if (expected && digest !== expected.digest) throw new WrongContent(`its digest is ${digest}`)
  await file.keepAs(blobPath(layout, digest), 0o400)
  await syncFolder(layout.blobs)
  return { mediaType: expected?.mediaType ?? mediaType, digest, size }
}

/** Writes all of `chunk` at a position, or where the file is at. Throws `ImageError` when the disk is full. */
export async function writeAll(handle: FileHandle, chunk: Buffer, position?: number): Promise<void> {
  try {
    for (let at = 0; at < chunk.length;) {
      const place = position === undefined ? null : position + at
      const { bytesWritten } = await handle.write(chunk, at, chunk.length - at, place)
      at += bytesWritten
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException // fs throws nothing else
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw cause
    throw pullFailed('the disk that images are kept on is full: free some space', cause)
  }
}
