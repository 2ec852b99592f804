import { readFile, readdir, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { unlessMissing } from '../files/errno.ts'
import { isPulling, type Layout, blobPath } from './layout.ts'
import { parseManifest } from './manifest.ts'
import { isReserved } from './reference.ts'
import {
  type DatedReference,
  listDated,
  type ReferenceRecord,
  removeReference,
  touchReference,
  writeReference,
} from './references.ts'
import { readUses, type Use } from './uses.ts'

/** How long images stay that nobody uses. */
export interface GcLimits {
  /** Milliseconds without a use after which an image goes; never for that alone where 0. */
  unusedMs: number
  /** Percent of the disk that may be taken before images go that nobody uses, oldest use first; 100: never for that. */
  highPercent: number
}

/** What collecting takes besides. */
export interface GcParts {
  now: () => number
  /** Percent of its disk that is taken; of the file system where absent. */
  usedPercent?: (dir: string) => Promise<number>
}

/** Nothing younger is touched: it may be about to be used. Source: `imageMinimumGCAge` of kubelet. */
const MINIMUM_AGE_MS = 2 * 60_000
/** Percent below the limit down to which room is made, so that it is not made for each image anew. */
const MARGIN = 5

/**
 * Removes images that nobody has used for long, and others while the disk is too full; then all that belongs to no
 * image any longer. Images that were made on this machine stay, as no registry has them. Answers the names of what went.
 *
 * Does nothing while any process pulls into the store: what that has brought belongs to no image yet.
 */
export async function collectImages(layout: Layout, limits: GcLimits, parts: GcParts): Promise<string[]> {
  if (await isPulling(layout)) return []
  const { now, usedPercent = usedOf } = parts
  const removed: string[] = []
  let limit = limits.highPercent
  for (const { record, usedMs } of await idleImages(layout, now())) {
    const isOld = limits.unusedMs > 0 && now() - usedMs >= limits.unusedMs
    if (!isOld) {
      if (limit >= 100 || (await usedPercent(layout.root)) <= limit) break
      limit = limits.highPercent - MARGIN
    }
    if (!(await takeAway(layout, record))) continue
    removed.push(record.name)
    await sweep(layout, now())
  }
  if (removed.length === 0) await sweep(layout, now())
  return removed
}

/** Images that nobody uses, the one whose use is longest ago first. Those in use count as used now. */
async function idleImages(layout: Layout, nowMs: number): Promise<DatedReference[]> {
  const uses = await readUses(layout)
  const idle: DatedReference[] = []
  for (const one of await listDated(layout)) {
    if (isReserved(one.record.name)) continue
    if (isUsed(one.record, uses)) await touchReference(layout, one.record.name, nowMs)
    else if (nowMs - one.usedMs >= MINIMUM_AGE_MS) idle.push(one)
  }
  return idle.sort((left, right) => left.usedMs - right.usedMs)
}

function isUsed({ name, manifest }: ReferenceRecord, uses: readonly Use[]): boolean {
  return uses.some((use) => use.name === name || use.image?.digest === manifest.digest)
}

/** Whoever wants an image writes its use down before it looks for it, so that one of us sees the other. */
async function takeAway(layout: Layout, record: ReferenceRecord): Promise<boolean> {
  await removeReference(layout, record.name)
  if (!isUsed(record, await readUses(layout))) return true
  await writeReference(layout, record)
  return false
}

/** Removes blobs and extracted files of no image. */
async function sweep(layout: Layout, nowMs: number): Promise<void> {
  const { manifests, blobs } = await partsInUse(layout)
  const isOld = async (path: string): Promise<boolean> => {
    const found = await unlessMissing(stat(path))
    return found !== undefined && nowMs - found.mtimeMs >= MINIMUM_AGE_MS
  }
  for (const hex of await readdir(layout.blobs)) {
    const path = join(layout.blobs, hex)
    if (!blobs.has(hex) && (await isOld(path))) await rm(path, { force: true })
  }
  // A folder for each layer, and a record for each file of an image that was asked for.
  for (const entry of await readdir(layout.extracted)) {
    const path = join(layout.extracted, entry)
    const [owner = ''] = entry.split('-')
    const isKept = entry.endsWith('.json') ? manifests.has(owner) : blobs.has(owner)
    if (!isKept && (await isOld(path))) await rm(path, { recursive: true, force: true })
  }
}

/** Digests, without `sha256:`, of all manifests that somebody has or that have a name, and of all that they consist of. */
async function partsInUse(layout: Layout): Promise<{ manifests: Set<string>; blobs: Set<string> }> {
  const manifests = new Set<string>()
  const blobs = new Set<string>()
  for (const { image } of await readUses(layout)) {
    if (!image) continue
    manifests.add(hexOf(image.digest))
    for (const { digest } of [image, ...image.layers]) blobs.add(hexOf(digest))
  }
  for (const { record } of await listDated(layout)) {
    const { digest, mediaType } = record.manifest
    const bytes = await unlessMissing(readFile(blobPath(layout, digest)))
    if (!bytes) continue
    const parsed = parseManifest(bytes, mediaType, record.name)
    if (parsed.type !== 'image') continue
    manifests.add(hexOf(digest))
    for (const part of [record.manifest, parsed.image.config, ...parsed.image.layers]) {
      blobs.add(hexOf(part.digest))
    }
  }
  return { manifests, blobs }
}

function hexOf(digest: string): string {
  return digest.slice('sha256:'.length)
}

async function usedOf(dir: string): Promise<number> {
  const { blocks, bavail } = await statfs(dir)
  return blocks === 0 ? 0 : 100 * (1 - bavail / blocks)
}
