import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { PassThrough, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { type Extract, type Header, extract } from 'tar-stream'
import { ImageError, reasonOf, rejected } from './error.ts'

/** An entry of a layer. */
export interface LayerEntry {
  /** Without a leading slash, `.` or `..`. */
  path: string
  /** As tar calls it; `undefined` for one that it has no name for. */
  type: string | undefined
  /** Bytes. */
  size: number
  /** Contents; whoever reads them does so before the next entry is asked for. */
  body: AsyncIterable<Buffer>
}

/** What a layer may cost. */
export interface LayerLimits {
  /** Decompressed. */
  maxBytes: number
  maxEntries: number
}

const CHUNK = 256 * 1024
/** Headers between one file's contents and the next: long names and attributes need a few KiB. */
const MAX_HEADER_BYTES = 512 * 1024

/**
 * The entries of a layer in their order.
 *
 * The compression is told from the first bytes. Whatever is wrong with the archive, throws `ImageError` with reason
 * `ImageRejected` that names `where`.
 */
export async function* readLayer(
  file: string,
  where: string,
  limits: LayerLimits,
  signal: AbortSignal,
): AsyncGenerator<LayerEntry> {
  const unpacked = extract()
  const meter = new Meter(limits)
  const source = createReadStream(file, { highWaterMark: CHUNK })
  const decompressor = await openDecompressor(file)
  const feed = (chunks: AsyncIterable<Buffer>) => feedTar(unpacked, meter.watch(chunks))
  // Whoever waits for an entry or its contents has to hear of what fails further up.
  const filled = pipeline(source, decompressor, feed, { signal }).catch((error: Error) =>
    unpacked.destroy(error),
  )
  const explain = (cause: unknown): Error => {
    signal.throwIfAborted()
    if (cause instanceof ImageError) return cause
    return rejected(`a layer of ${where} cannot be read: ${reasonOf(cause)}`, cause)
  }
  try {
    for await (const entry of unpacked) {
      meter.countEntry(entry.offset, entry.header.size)
      const path = plainPath(entry.header)
      const { type, size } = entry.header
      if (path !== '') yield { path, type, size, body: readBody(entry as AsyncIterable<Buffer>, explain) }
      entry.resume()
    }
  } catch (cause) {
    throw explain(cause)
  } finally {
    unpacked.destroy()
    source.destroy()
    await filled
  }
}

async function* readBody(
  entry: AsyncIterable<Buffer>,
  explain: (cause: unknown) => Error,
): AsyncGenerator<Buffer> {
  try {
    yield* entry
  } catch (cause) {
    throw explain(cause)
  }
}

async function openDecompressor(file: string): Promise<Transform> {
  await using handle = await open(file, 'r')
  const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0)
  if (buffer.readUInt16BE(0) === 0x1f8b) return createGunzip({ chunkSize: CHUNK })
  if (buffer.readUInt32LE(0) === 0xfd2fb528) return createZstdDecompress({ chunkSize: CHUNK })
  return new PassThrough()
}

/** Refuses an archive that grows past its limits before it costs as much. */
class Meter {
  readonly #limits: LayerLimits
  #bytes = 0
  #entries = 0
  /** Up to there it is known what the bytes are. */
  #explained = 0

  constructor(limits: LayerLimits) {
    this.#limits = limits
  }

  async *watch(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      this.#bytes += chunk.length
      if (this.#bytes > this.#limits.maxBytes) {
        throw rejected(`a layer has more than ${this.#limits.maxBytes} bytes when it is unpacked`)
      }
      if (this.#bytes > this.#explained + MAX_HEADER_BYTES + CHUNK) {
        throw rejected(`a layer has headers of more than ${MAX_HEADER_BYTES} bytes`)
      }
      yield chunk
    }
  }

  /** Notes a file: its last header stands at `offset`, its contents after that. */
  countEntry(offset: number, size: number): void {
    this.#entries += 1
    this.#explained = offset + size
    if (this.#entries > this.#limits.maxEntries) {
      throw rejected(`a layer has more than ${this.#limits.maxEntries} files`)
    }
  }
}

/** Writes what comes into the tar reader; ends when that is destroyed. */
async function feedTar(target: Extract, chunks: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of chunks) {
    if (target.destroyed) return
    if (target.write(chunk)) continue
    const { promise, resolve } = Promise.withResolvers<void>()
    target.once('drain', resolve).once('close', resolve)
    await promise
    target.off('drain', resolve).off('close', resolve)
  }
  target.end(null)
}

/** The path without `.` and leading slashes; empty for the top folder. Throws for one that leaves the image. */
function plainPath({ name }: Header): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..') || name.includes('\0')) {
    throw rejected(`a layer has a file whose path leaves the image: ${JSON.stringify(name.slice(0, 200))}`)
  }
  return parts.join('/')
}
