import { createHash } from 'node:crypto'
import { readFile, readdir, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { isRecord } from '../../lib/json.ts'
import { type Layout, ScratchFile, syncFolder } from './layout.ts'
import type { Descriptor } from './manifest.ts'

/** What the store knows of a reference. */
export interface ReferenceRecord {
  /** In full, as `parseReference` spells it. */
  name: string
  manifest: Descriptor
  /** Who has been let in by the registry: fingerprints of credentials, `''` for anybody. */
  openTo: string[]
}

/** What the store knows of a reference, if anything. */
export async function readReference(layout: Layout, name: string): Promise<ReferenceRecord | undefined> {
  try {
    return JSON.parse(await readFile(recordPath(layout, name), 'utf8')) as ReferenceRecord // written below
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** A reference, and when its image was wanted last. */
export interface DatedReference {
  record: ReferenceRecord
  /** Milliseconds since 1970. */
  usedMs: number
}

/** All references in the store with their times. */
export async function listDated(layout: Layout): Promise<DatedReference[]> {
  const found: DatedReference[] = []
  for (const record of await listReferences(layout)) {
    const at = await stat(recordPath(layout, record.name)).catch(ignoreMissing)
    if (at) found.push({ record, usedMs: at.mtimeMs })
  }
  return found
}

/** Notes that the image of a reference is wanted. */
export async function touchReference(layout: Layout, name: string, nowMs: number): Promise<void> {
  await utimes(recordPath(layout, name), nowMs / 1000, nowMs / 1000).catch(ignoreMissing)
}

/** Forgets a reference; what it leads to stays. */
export async function removeReference(layout: Layout, name: string): Promise<void> {
  await rm(recordPath(layout, name), { force: true })
  await writeIndex(layout)
}

/** All references in the store, by name. */
async function listReferences(layout: Layout): Promise<ReferenceRecord[]> {
  const files = (await readdir(layout.references)).filter((file) => file.endsWith('.json'))
  const records: ReferenceRecord[] = []
  for (const file of files) {
    const text = await readFile(join(layout.references, file), 'utf8').catch(ignoreMissing)
    const record: unknown = text === undefined ? undefined : JSON.parse(text)
    if (isRecord(record)) records.push(record as unknown as ReferenceRecord) // written below
  }
  return records.sort((left, right) => (left.name < right.name ? -1 : 1))
}

/** Writes down where a reference leads to. Each has a file of its own, so that two processes never collide. */
export async function writeReference(layout: Layout, record: ReferenceRecord): Promise<void> {
  await replaceFile(layout, recordPath(layout, record.name), JSON.stringify(record))
  await writeIndex(layout)
}

/** `index.json` tells other tools of the OCI layout what is here; it is made from the records, never read. */
async function writeIndex(layout: Layout): Promise<void> {
  const records = await listReferences(layout)
  const manifests = records.map(({ name, manifest }) => ({
    ...manifest,
    annotations: { 'org.opencontainers.image.ref.name': name },
  }))
  const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }
  await replaceFile(layout, join(layout.root, 'index.json'), JSON.stringify(index))
}

/** Puts a small file in place, whole or not at all. */
export async function replaceFile(layout: Layout, path: string, text: string): Promise<void> {
  await using file = await ScratchFile.create(layout)
  await file.handle.writeFile(text)
  await file.keepAs(path, 0o600)
  await syncFolder(join(path, '..'))
}

function recordPath({ references }: Layout, name: string): string {
  return join(references, `${createHash('sha256').update(name).digest('hex')}.json`)
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
  return undefined
}
