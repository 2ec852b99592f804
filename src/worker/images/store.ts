import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { getCACertificates } from 'node:tls'
import { Agent } from '../../lib/http-client.ts'
import { type Credential, credentialsFor } from './docker-auth.ts'
import { ImageError, rejected } from './error.ts'
import { type ExtractedFile, extractFile } from './extract.ts'
import { type Wanted, splitPath } from './find.ts'
import { type ImageFile, makeImage } from './import.ts'
import type { LayerLimits } from './layers.ts'
import { type GcLimits, type GcParts, collectImages } from './collect.ts'
import { type Layout, blobPath, hasBlob, markPulling, openLayout } from './layout.ts'
import { type Descriptor, parseManifest } from './manifest.ts'
import type { EnsureOptions, ImageDisk, ImageStoreOptions, LocalImage } from './options.ts'
import { type PullProgress, pullImage } from './pull.ts'
import { type Reference, RESERVED_REGISTRY, defaultPolicy, parseReference } from './reference.ts'
import { type ReferenceRecord, readReference, touchReference, writeReference } from './references.ts'
import { sleep } from './retry.ts'
import { SharedTasks } from './shared.ts'
import { dropUses, noteUse } from './uses.ts'
import { vetDisk } from './vet.ts'

export type { EnsureOptions, ImageDisk, ImageStoreOptions, LocalImage } from './options.ts'

const GIB = 1024 ** 3
const MAX_ENTRIES = 1_000_000
/** Where a containerDisk has its disk unless it says otherwise. */
const DISK_FOLDER = '/disk'
const CONNECT_TIMEOUT_MS = 10_000

/** Opens the image store of a node, and cleans up after processes that crashed. */
export async function openImageStore(options: ImageStoreOptions): Promise<ImageStore> {
  return new ImageStore(await openLayout(options.dir), options)
}

/** Images of a node: pulled from registries or made here, and the files that guests take from them. */
export class ImageStore implements AsyncDisposable {
  readonly #layout: Layout
  readonly #options: ImageStoreOptions
  readonly #pulls = new SharedTasks<LocalImage>()
  readonly #disks = new SharedTasks<ImageDisk>()
  readonly #files = new SharedTasks<ExtractedFile>()
  /** By file: extracted files never change. */
  readonly #vetted = new Map<string, ImageDisk>()
  readonly #listeners = new Map<string, Set<(progress: PullProgress) => void>>()
  #agent: Agent | undefined

  /** Use `openImageStore`. */
  constructor(layout: Layout, options: ImageStoreOptions) {
    this.#layout = layout
    this.#options = options
  }

  /**
   * The image of a reference, pulled where the policy says so. Calls for the same image share one pull.
   *
   * A private image that is here is only given to those whom its registry has let in.
   * Throws `ImageError`.
   */
  async ensure(text: string, options: EnsureOptions = {}): Promise<LocalImage> {
    const reference = parseReference(text)
    const { holder } = options
    const { name } = reference
    // Before it is looked for: who collects images sees this, or we see what they have taken away.
    if (holder) await noteUse(this.#layout, { holder, name })
    const image = await this.#ensure(reference, options)
    if (holder) await noteUse(this.#layout, { holder, name, image })
    await touchReference(this.#layout, name, Date.now())
    return image
  }

  /** Forgets that they have images whose holders `isGone` says are gone. */
  async dropUses(isGone: (holder: string) => boolean | Promise<boolean>): Promise<void> {
    await dropUses(this.#layout, isGone)
  }

  /** Removes images that nobody has, within limits; answers their names. */
  async collect(limits: GcLimits, parts: GcParts): Promise<string[]> {
    return collectImages(this.#layout, limits, parts)
  }

  async #ensure(reference: Reference, options: EnsureOptions): Promise<LocalImage> {
    const isReserved = reference.registry === RESERVED_REGISTRY
    const policy = isReserved ? 'Never' : (options.policy ?? defaultPolicy(reference))
    const known = policy === 'Always' ? undefined : await this.#find(reference)
    if (policy === 'Never') {
      if (known) return known.image
      throw neverPull(reference, isReserved)
    }
    const credentials = credentialsFor(options.pullSecrets ?? {}, reference)
    if (known && mayUse(known.record, credentials)) return known.image
    const pulled = await this.#pull(reference, credentials, options)
    // A collection that began before the pull may have taken what the pull has found here.
    return (await this.#isWhole(pulled)) ? pulled : this.#pull(reference, credentials, options)
  }

  /**
   * The disk in an image: the file at `path`, else the only one below `/disk`. Extracted once, and vetted once by each process.
   *
   * Throws `ImageError`; reason `ImageRejected` where there is none or it is not fit.
   */
  async disk(
    image: LocalImage,
    path?: string,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<ImageDisk> {
    const wanted: Wanted = path === undefined ? { onlyFileBelow: DISK_FOLDER } : { file: plain(path) }
    return this.#disks.run(keyOf(image, wanted), signal, async (shared) => {
      const { file, path: found } = await this.#extract(image, wanted, shared)
      const where = `/${found} of ${image.reference}`
      const known = this.#vetted.get(file)
      if (known) return known
      const { qemuImg = 'qemu-img', maxVirtualBytes = 16 * 1024 * GIB } = this.#options
      const disk = { file, ...(await vetDisk(file, { qemuImg, maxVirtualBytes, where, signal: shared })) }
      this.#vetted.set(file, disk)
      return disk
    })
  }

  /** Absolute path of a file of an image, such as a kernel; read-only. Throws `ImageError`. */
  async file(image: LocalImage, path: string, { signal }: { signal?: AbortSignal } = {}): Promise<string> {
    const wanted = { file: plain(path) }
    const task = (shared: AbortSignal) => this.#extract(image, wanted, shared)
    return (await this.#files.run(keyOf(image, wanted), signal, task)).file
  }

  /** Makes an image of files and puts it under a reference, in place of what was there. */
  async import(text: string, files: readonly ImageFile[]): Promise<LocalImage> {
    const reference = parseReference(text)
    const manifest = await makeImage(this.#layout, files)
    await writeReference(this.#layout, { name: reference.name, manifest, openTo: [ANYBODY] })
    this.#options.log.info({ image: reference.name, digest: manifest.digest }, 'image imported')
    return this.#load(reference.name, manifest)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.destroy()
  }

  async #extract(image: LocalImage, wanted: Wanted, signal: AbortSignal): Promise<ExtractedFile> {
    const { maxLayerBytes = 128 * GIB } = this.#options
    const limits: LayerLimits = { maxBytes: maxLayerBytes, maxEntries: MAX_ENTRIES }
    const options = { layout: this.#layout, limits, where: image.reference, signal }
    return extractFile(image.digest, image.layers, wanted, options)
  }

  /** A known image, if all of it is here. */
  async #find({ name }: Reference): Promise<{ record: ReferenceRecord; image: LocalImage } | undefined> {
    const record = await readReference(this.#layout, name)
    if (!record || !(await hasBlob(this.#layout, record.manifest))) return undefined
    const image = await this.#load(name, record.manifest)
    return (await this.#isWhole(image)) ? { record, image } : undefined
  }

  async #isWhole({ layers }: LocalImage): Promise<boolean> {
    for (const layer of layers) if (!(await hasBlob(this.#layout, layer))) return false
    return true
  }

  async #load(name: string, manifest: Descriptor): Promise<LocalImage> {
    const bytes = await readFile(blobPath(this.#layout, manifest.digest))
    const parsed = parseManifest(bytes, manifest.mediaType, name)
    if (parsed.type !== 'image') throw rejected(`${name} is an index where an image was expected`)
    return { reference: name, digest: manifest.digest, layers: parsed.image.layers }
  }

  async #pull(reference: Reference, credentials: Credential[], options: EnsureOptions): Promise<LocalImage> {
    const key = [reference.name, ...credentials.map(fingerprint)].join(' ')
    const { onProgress, signal } = options
    const listeners = this.#listeners.get(key) ?? new Set()
    this.#listeners.set(key, listeners)
    if (onProgress) listeners.add(onProgress)
    try {
      return await this.#pulls.run(key, signal, (shared) =>
        this.#pullOnce(
          reference,
          credentials,
          (progress) => listeners.forEach((listen) => listen(progress)),
          shared,
        ),
      )
    } finally {
      if (onProgress) listeners.delete(onProgress)
      if (listeners.size === 0) this.#listeners.delete(key)
    }
  }

  async #pullOnce(
    reference: Reference,
    credentials: Credential[],
    onProgress: (progress: PullProgress) => void,
    signal: AbortSignal,
  ): Promise<LocalImage> {
    const { log, insecureRegistries = [], maxImageBytes = 32 * GIB } = this.#options
    const { name } = reference
    log.info({ image: name }, 'pulling image')
    await using _mark = await markPulling(this.#layout)
    const pulled = await pullImage(reference, credentials, {
      layout: this.#layout,
      registry: { dispatcher: this.#options.dispatcher ?? this.#openAgent(), insecureRegistries },
      retry: {
        sleep: this.#options.sleep ?? sleep,
        signal,
        onRetry: (error, waitMs) =>
          log.warn({ image: name, err: error, waitMs }, 'image pull is tried again'),
      },
      maxImageBytes,
      onProgress,
      signal,
    })
    const { manifest, isPublic, credential } = pulled
    const before = await readReference(this.#layout, name)
    const same = before?.manifest.digest === manifest.digest ? before.openTo : []
    const opened = isPublic || !credential ? ANYBODY : fingerprint(credential)
    await writeReference(this.#layout, { name, manifest, openTo: [...new Set([...same, opened])] })
    log.info({ image: name, digest: manifest.digest }, 'image pulled')
    return this.#load(name, manifest)
  }

  /** Trusts what Node and this machine trust. No proxy is read from the environment: hand in a dispatcher. */
  #openAgent(): Agent {
    this.#agent ??= new Agent({
      // One connection a blob: with HTTP/2 they would share one, and its window.
      allowH2: false,
      connect: {
        timeout: CONNECT_TIMEOUT_MS,
        ca: [...new Set([...getCACertificates('default'), ...getCACertificates('system')])],
      },
    })
    return this.#agent
  }
}

/** Stands for no credential at all. */
const ANYBODY = ''

function fingerprint({ username, password, identityToken = '' }: Credential): string {
  return createHash('sha256')
    .update(JSON.stringify([username, password, identityToken]))
    .digest('hex')
}

/** Whether the registry has given the image to one of these credentials before, or gives it to everybody. */
function mayUse({ openTo }: ReferenceRecord, credentials: Credential[]): boolean {
  return [ANYBODY, ...credentials.map(fingerprint)].some((each) => openTo.includes(each))
}

function plain(path: string): string {
  return `/${splitPath(path).join('/')}`
}

function keyOf({ digest }: LocalImage, wanted: Wanted): string {
  return `${digest} ${JSON.stringify(wanted)}`
}

function neverPull({ name }: Reference, isReserved: boolean): ImageError {
  const todo = isReserved
    ? `images of ${RESERVED_REGISTRY} are made on the machine, never pulled: \`npm start\` makes the guest`
    : 'its policy forbids to pull it: import it first, or allow to pull it'
  return new ImageError('ErrImageNeverPull', `${name} is not on this node, and ${todo}`)
}
