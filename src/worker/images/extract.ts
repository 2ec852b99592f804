import { createHash } from 'node:crypto'
import { mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { rejected } from './error.ts'
import { type FoundFile, type Wanted, findFile } from './find.ts'
import { type Layout, ScratchFile, syncFolder, writeAll } from './layout.ts'
import type { LayerLimits } from './layers.ts'
import type { Descriptor } from './manifest.ts'
import { replaceFile } from './references.ts'

/** A file taken out of an image. */
export interface ExtractedFile {
  /** Absolute path; named by layer and path, and never written to again. */
  file: string
  /** Path in the image. */
  path: string
  sizeBytes: number
}

/** What an extraction needs. */
export interface ExtractOptions {
  layout: Layout
  limits: LayerLimits
  /** The image, for messages. */
  where: string
  signal: AbortSignal
}

/** Read by all, because QEMU has a user of its own; written by nobody. */
const READ_ONLY = 0o444

/**
 * Takes a file out of an image, once: the same file of the same layer is found again, in another image as well.
 *
 * Throws `ImageError`.
 */
export async function extractFile(
  manifest: string,
  layers: readonly Descriptor[],
  wanted: Wanted,
  options: ExtractOptions,
): Promise<ExtractedFile> {
  const { layout } = options
  const record = join(layout.extracted, `${hexOf(manifest)}-${nameOf(JSON.stringify(wanted))}.json`)
  const known = await readRecord(record, layout)
  if (known) return known
  const take = (found: FoundFile, body: AsyncIterable<Buffer>, size: number) =>
    takeOut(found, body, size, options)
  const found = await findFile(layers, wanted, take, options)
  const file = targetOf(layout, found)
  const { size } = await stat(file)
  const kept = { layer: found.layer.digest, path: found.path, sizeBytes: size }
  await replaceFile(layout, record, JSON.stringify(kept))
  return { file, path: found.path, sizeBytes: size }
}

interface Kept {
  layer: string
  path: string
  sizeBytes: number
}

async function readRecord(record: string, layout: Layout): Promise<ExtractedFile | undefined> {
  const text = await readFile(record, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const { layer, path, sizeBytes } = JSON.parse(text) as Kept // written above
  const file = join(layout.extracted, hexOf(layer), nameOf(path))
  const isThere = await stat(file).then(
    ({ size }) => size === sizeBytes,
    () => false,
  )
  return isThere ? { file, path, sizeBytes } : undefined
}

async function takeOut(
  found: FoundFile,
  body: AsyncIterable<Buffer>,
  size: number,
  options: ExtractOptions,
): Promise<void> {
  const { layout, limits, where } = options
  if (size > limits.maxBytes)
    throw rejected(`/${found.path} of ${where} has ${size} bytes, which is too much`)
  const target = targetOf(layout, found)
  const isThere = await stat(target).then(
    () => true,
    () => false,
  )
  if (isThere) return
  await using file = await ScratchFile.create(layout)
  await writeSparse(file, body)
  const folder = join(target, '..')
  await mkdir(folder, { recursive: true, mode: 0o711 })
  await file.keepAs(target, READ_ONLY)
  await syncFolder(folder)
}

const ZEROES = Buffer.alloc(64 * 1024)

/** Writes what comes, leaving holes where it is all zeroes: disks are mostly that. */
async function writeSparse({ handle }: ScratchFile, source: AsyncIterable<Buffer>): Promise<void> {
  let position = 0
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; at += ZEROES.length) {
      const part = chunk.subarray(at, at + ZEROES.length)
      if (!part.equals(ZEROES.subarray(0, part.length))) await writeAll(handle, part, position + at)
    }
    position += chunk.length
  }
  await handle.truncate(position)
}

function targetOf({ extracted }: Layout, { layer, path }: FoundFile): string {
  return join(extracted, hexOf(layer.digest), nameOf(path))
}

function hexOf(digest: string): string {
  return digest.slice('sha256:'.length)
}

function nameOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
