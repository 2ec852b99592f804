import { readFile, readdir, rm, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Layout, blobPath } from './layout.ts'
import { parseManifest } from './manifest.ts'
import { listReferences } from './references.ts'

/** What may be removed. */
export interface PruneOptions {
  /** Absolute paths of extracted files that guests stand on; they stay whatever else is true. */
  inUse: readonly string[]
  /** Younger files stay: a pull may be about to use them. */
  olderThanMs?: number
  /** Says what would be removed, and leaves it. */
  dryRun?: boolean
}

/** What was removed, or would be. */
export interface Pruned {
  files: string[]
  bytes: number
}

const AN_HOUR_MS = 60 * 60 * 1000

/** Removes blobs and extracted files that no reference leads to and no guest uses. */
export async function pruneStore(layout: Layout, options: PruneOptions, now: number): Promise<Pruned> {
  const { inUse, olderThanMs = AN_HOUR_MS, dryRun = false } = options
  const needed = await neededDigests(layout)
  const pruned: Pruned = { files: [], bytes: 0 }
  for (const file of await candidates(layout, needed)) {
    const found = await stat(file).catch(() => undefined)
    if (!found || inUse.includes(file) || now - found.mtimeMs < olderThanMs) continue
    pruned.files.push(file)
    // Blocks, because extracted disks have holes.
    pruned.bytes += found.blocks * 512
    if (!dryRun) await rm(file, { force: true })
  }
  if (!dryRun) await removeEmptyFolders(layout.extracted)
  return pruned
}

/** Hexadecimal digests of all that references lead to. */
async function neededDigests(layout: Layout): Promise<Set<string>> {
  const needed = new Set<string>()
  for (const { name, manifest } of await listReferences(layout)) {
    const bytes = await readFile(blobPath(layout, manifest.digest)).catch(() => undefined)
    if (bytes === undefined) continue
    const parsed = parseManifest(bytes, manifest.mediaType, name)
    const blobs = parsed.type === 'image' ? [parsed.image.config, ...parsed.image.layers] : []
    for (const { digest } of [manifest, ...blobs]) needed.add(digest.slice('sha256:'.length))
  }
  return needed
}

/** Blobs, extracted files and their records whose names begin with a digest that nobody needs. */
async function candidates({ blobs, extracted }: Layout, needed: Set<string>): Promise<string[]> {
  const isUnneeded = (name: string) => !needed.has(name.slice(0, 64))
  const found = (await readdir(blobs)).filter(isUnneeded).map((name) => join(blobs, name))
  for (const entry of await readdir(extracted, { withFileTypes: true })) {
    if (!isUnneeded(entry.name)) continue
    const path = join(extracted, entry.name)
    if (entry.isFile()) found.push(path)
    else found.push(...(await readdir(path)).map((name) => join(path, name)))
  }
  return found
}

async function removeEmptyFolders(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue
    const path = join(folder, entry.name)
    if ((await readdir(path)).length === 0) await rmdir(path)
  }
}
