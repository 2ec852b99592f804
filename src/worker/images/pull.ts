import { statfs } from 'node:fs/promises'
import type { Credential } from './docker-auth.ts'
import { ImageError, pullFailed, reasonOf, rejected } from './error.ts'
import { type Layout, WrongContent, hasBlob, writeBlob } from './layout.ts'
import {
  type Descriptor,
  type ImageManifest,
  imageArchitecture,
  parseManifest,
  pickPlatform,
} from './manifest.ts'
import type { Reference } from './reference.ts'
import { type FetchedManifest, type RegistryOptions, Repository } from './registry.ts'
import { type RetryOptions, Transient, withRetries } from './retry.ts'

/** How far a pull is. */
export interface PullProgress {
  reference: string
  doneBytes: number
  totalBytes: number
}

/** What a pull needs. */
export interface PullOptions {
  layout: Layout
  registry: RegistryOptions
  retry: RetryOptions
  /** Compressed bytes of one image. */
  maxImageBytes: number
  onProgress?: (progress: PullProgress) => void
  signal: AbortSignal
}

/** A pulled image. */
export interface Pulled {
  manifest: Descriptor
  /** Whether the registry gave it to anybody, without asking who it is. */
  isPublic: boolean
  /** The credential that it was given for. */
  credential: Credential | undefined
}

/** Left free on the disk, whatever is pulled. */
const RESERVE_BYTES = 256 * 1024 * 1024
const AT_ONCE = 3

/**
 * Brings an image with all its blobs into the store; those that are there are not fetched again.
 *
 * The credentials are tried in turn; with none, the registry is asked as nobody. Throws `ImageError`.
 */
export async function pullImage(
  reference: Reference,
  credentials: readonly Credential[],
  options: PullOptions,
): Promise<Pulled> {
  const [first, ...others] = credentials.length > 0 ? credentials : [undefined]
  try {
    return await pullAs(reference, first, options)
  } catch (error) {
    const mayHelp = error instanceof ImageError && error.retriable && others.length > 0
    if (!mayHelp || options.signal.aborted) throw error
    return pullImage(reference, others as Credential[], options) // only the stand-in for none is undefined
  }
}

async function pullAs(
  reference: Reference,
  credential: Credential | undefined,
  options: PullOptions,
): Promise<Pulled> {
  const repository = new Repository(reference, credential, options.registry)
  const { fetched, image } = await resolve(reference, repository, options)
  const blobs = [image.config, ...image.layers]
  const missing = await missingBlobs(blobs, options.layout)
  await checkRoom(reference, blobs, missing, options)
  await fetchBlobs(reference, repository, blobs, missing, options)
  const manifest = await keepManifest(fetched, options.layout)
  return { manifest, isPublic: !repository.asked, credential }
}

interface Resolved {
  fetched: FetchedManifest
  image: ImageManifest
}

/** The manifest of the image for this machine, by way of an index where there is one. */
async function resolve(
  { name, tag, digest }: Reference,
  repository: Repository,
  { retry, signal }: PullOptions,
): Promise<Resolved> {
  const fetch = (what: string) => withRetries(() => repository.fetchManifest(what, signal), retry)
  // A reference without a digest always has a tag.
  const first = await fetch(digest ?? tag!)
  const parsed = parseManifest(first.bytes, first.mediaType, name)
  if (parsed.type === 'image') return { fetched: first, image: parsed.image }
  const chosen = pickPlatform(parsed.index, imageArchitecture(), name)
  const second = await fetch(chosen.digest)
  const image = parseManifest(second.bytes, second.mediaType, name)
  if (image.type !== 'image') throw rejected(`${name} is an index of indexes, which is not supported`)
  return { fetched: second, image: image.image }
}

async function missingBlobs(blobs: Descriptor[], layout: Layout): Promise<Descriptor[]> {
  const missing = new Map<string, Descriptor>()
  for (const blob of blobs) if (!(await hasBlob(layout, blob))) missing.set(blob.digest, blob)
  return [...missing.values()]
}

function sumSizes(blobs: Descriptor[]): number {
  return blobs.reduce((sum, { size }) => sum + size, 0)
}

async function checkRoom(
  { name }: Reference,
  blobs: Descriptor[],
  missing: Descriptor[],
  { layout, maxImageBytes }: PullOptions,
): Promise<void> {
  const total = sumSizes(blobs)
  if (total > maxImageBytes) {
    throw rejected(`${name} has ${formatMiB(total)}, and images may have ${formatMiB(maxImageBytes)} here`)
  }
  const { bavail, bsize } = await statfs(layout.root)
  const free = bavail * bsize - RESERVE_BYTES
  if (missing.length > 0 && sumSizes(missing) > free) {
    throw pullFailed(
      `${name} needs ${formatMiB(sumSizes(missing))} on ${layout.root}, which has ${formatMiB(Math.max(free, 0))} ` +
        'to spare: free some space',
    )
  }
}

function formatMiB(bytes: number): string {
  return `${Math.ceil(bytes / 1024 / 1024)} MiB`
}

/** Fetches some at a time; the first that fails ends the others. */
async function fetchBlobs(
  { name }: Reference,
  repository: Repository,
  blobs: Descriptor[],
  missing: Descriptor[],
  options: PullOptions,
): Promise<void> {
  const totalBytes = sumSizes(blobs)
  let doneBytes = totalBytes - sumSizes(missing)
  let told = -1
  const count = (bytes: number) => {
    doneBytes += bytes
    // Once a percent: whoever listens may tell others.
    const percent = Math.floor((doneBytes / totalBytes) * 100)
    if (percent === told) return
    told = percent
    options.onProgress?.({ reference: name, doneBytes, totalBytes })
  }
  count(0)
  const failed = new AbortController()
  const signal = AbortSignal.any([options.signal, failed.signal])
  const queue = [...missing]
  const work = async () => {
    for (let blob = queue.shift(); blob; blob = queue.shift()) {
      await fetchBlob(name, repository, blob, count, { ...options, signal })
    }
  }
  const workers = Array.from({ length: AT_ONCE }, async () => {
    await work().catch((error: unknown) => {
      failed.abort(error)
      throw error
    })
  })
  // All have to end before the pull does: none may write after it.
  const results = await Promise.allSettled(workers)
  options.signal.throwIfAborted()
  if (results.some(({ status }) => status === 'rejected')) throw failed.signal.reason
}

async function fetchBlob(
  name: string,
  repository: Repository,
  blob: Descriptor,
  count: (bytes: number) => void,
  { layout, retry, signal }: PullOptions,
): Promise<void> {
  const attempt = async () => {
    let came = 0
    const onBytes = (bytes: number) => {
      came += bytes
      count(bytes)
    }
    const body = await repository.fetchBlob(blob, signal)
    try {
      await writeBlob(layout, body as AsyncIterable<Buffer>, { expected: blob, onBytes }) // no encoding was set
    } catch (cause) {
      signal.throwIfAborted()
      count(-came)
      if (cause instanceof ImageError) throw cause
      const what = cause instanceof WrongContent ? 'is not what its manifest says' : 'broke off'
      throw new Transient(pullFailed(`${blob.digest} of ${name} ${what}: ${reasonOf(cause)}`, cause))
    } finally {
      body.destroy()
    }
  }
  await withRetries(attempt, { ...retry, signal })
}

async function keepManifest({ bytes, mediaType }: FetchedManifest, layout: Layout): Promise<Descriptor> {
  const stated = mediaType?.split(';')[0] ?? 'application/vnd.oci.image.manifest.v1+json'
  return writeBlob(layout, singleChunk(bytes), { mediaType: stated })
}

/** A blob's source that is all there. */
export async function* singleChunk(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}
