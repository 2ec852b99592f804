import { open, rename, rm } from 'node:fs/promises'
import {
  JOLIET,
  PLAIN,
  SECTOR,
  type Spelling,
  formatPathTable,
  formatRecord,
  formatTerminator,
  formatVolume,
} from './iso-records.ts'
import {
  type IsoFolder,
  type Shorten,
  type SpelledEntry,
  type SpelledFolder,
  buildTree,
  jolietNames,
  listFiles,
  plainNames,
  spellTree,
} from './iso-tree.ts'
import {
  Continuation,
  formatExtension,
  formatMode,
  formatName,
  formatPointer,
  formatStart,
} from './rock-ridge.ts'

/** What an image holds. */
export interface IsoContents {
  /** Label of the volume, as in `cidata`: up to 32 ASCII characters. */
  label: string
  /** Path → contents; folders come by themselves. */
  files: Record<string, Buffer | string>
}

const FIRST_DESCRIPTOR = 16
/** Longest directory record. */
const RECORD_LIMIT = 255
/** Images are padded to this: on both sides of a migration they have to have the same size. */
const PADDING = 1024 * 1024

/**
 * An ISO 9660 image with Rock Ridge names for Linux and Joliet names for Windows.
 *
 * The same contents make the same bytes. Throws `RangeError` for a label or path that does not fit.
 */
export function buildIso({ label, files }: IsoContents): Buffer {
  if (!/^[ -~]{1,32}$/.test(label)) {
    throw new RangeError(`${JSON.stringify(label)} is no label: it takes 1 to 32 ASCII characters`)
  }
  const root = buildTree(files)
  // Twice: how long the parts are does not depend on where they stand.
  const draft = layOut(root, label, { plain: 0, joliet: 0, continuation: 0, data: 0 })
  return layOut(root, label, draft.places).bytes
}

/** Writes an image that its owner alone may read. It is there whole or not at all. */
export async function writeIso(file: string, contents: IsoContents): Promise<void> {
  const unfinished = `${file}.part`
  try {
    await using handle = await open(unfinished, 'w', 0o600)
    await handle.writeFile(buildIso(contents))
    await handle.sync()
    await rename(unfinished, file)
  } finally {
    await rm(unfinished, { force: true })
  }
}

/** First sectors of the parts of an image. */
interface Places {
  plain: number
  joliet: number
  continuation: number
  data: number
}

function layOut(root: IsoFolder, label: string, places: Places): { bytes: Buffer; places: Places } {
  const data = placeFiles(root, places.data)
  const plain = buildFolders(root, PLAIN, plainNames, places.plain, places.continuation)
  const joliet = buildFolders(root, JOLIET, jolietNames, places.joliet)
  const plainAt = FIRST_DESCRIPTOR + 3
  const jolietAt = plainAt + sectors(plain.bytes.length)
  const continuationAt = jolietAt + sectors(joliet.bytes.length)
  const dataAt = continuationAt + sectors(plain.continuation.length)
  const total = Math.ceil((dataAt * SECTOR + data.length) / PADDING) * PADDING
  const volume = (spelling: Spelling, { pathTable, root: record }: Folders) =>
    formatVolume(spelling, { label, totalSectors: total / SECTOR, pathTable, root: record })
  const descriptors = [volume(PLAIN, plain), volume(JOLIET, joliet), formatTerminator()]
  const parts = [...descriptors, plain.bytes, joliet.bytes, plain.continuation, data]
  return {
    bytes: Buffer.concat([Buffer.alloc(FIRST_DESCRIPTOR * SECTOR), ...parts], total),
    places: { plain: plainAt, joliet: jolietAt, continuation: continuationAt, data: dataAt },
  }
}

/** Gives each file its place, and all their contents one after the other. */
function placeFiles(root: IsoFolder, first: number): Buffer {
  let next = first
  const parts = listFiles(root).map((file) => {
    file.sector = next
    next += sectors(file.data.length)
    return padToSector(file.data)
  })
  return Buffer.concat(parts)
}

/** One directory tree. */
interface Folders {
  /** Both path tables, then the folders. */
  bytes: Buffer
  pathTable: { bytes: number; littleEnd: number; bigEnd: number }
  /** The root's record for the volume descriptor. */
  root: Buffer
  continuation: Buffer
}

/** `continuationAt` is given for the tree that has Rock Ridge names. */
function buildFolders(
  root: IsoFolder,
  spelling: Spelling,
  shorten: Shorten,
  first: number,
  continuationAt?: number,
): Folders {
  const folders = spellTree(root, spelling.encode, shorten)
  const table = (bigEnd: boolean) => formatPathTable(folders.map(toTableEntry), bigEnd)
  const { length } = table(false)
  let next = first + 2 * sectors(length)
  for (const folder of folders) {
    folder.sector = next
    folder.bytes = formatFolder(folder, openRockRidge(continuationAt)).length
    next += sectors(folder.bytes)
  }
  const rockRidge = openRockRidge(continuationAt)
  const contents = folders.map((folder) => formatFolder(folder, rockRidge))
  return {
    bytes: Buffer.concat([padToSector(table(false)), padToSector(table(true)), ...contents]),
    pathTable: { bytes: length, littleEnd: first, bigEnd: first + sectors(length) },
    root: selfRecord(folders[0]!, Buffer.alloc(1)), // the root is always there
    continuation: padToSector(rockRidge?.continuation.bytes() ?? Buffer.alloc(0)),
  }
}

function toTableEntry({ identifier, sector, parent }: SpelledFolder, _at: number, all: SpelledFolder[]) {
  return { identifier, sector, parent: parent ? all.indexOf(parent) + 1 : 1 }
}

interface RockRidge {
  continuation: Continuation
  /** Where the continuation area begins. */
  sector: number
}

function openRockRidge(sector: number | undefined): RockRidge | undefined {
  return sector === undefined ? undefined : { continuation: new Continuation(), sector }
}

/** The records of a folder, in whole sectors. */
function formatFolder(folder: SpelledFolder, rockRidge: RockRidge | undefined): Buffer {
  const isRoot = folder.parent === undefined
  const self = rockRidge && (isRoot ? rootExtra(rockRidge) : formatMode(true))
  const above = rockRidge && formatMode(true)
  const records = [
    selfRecord(folder, Buffer.from([0]), self),
    selfRecord(folder.parent ?? folder, Buffer.from([1]), above),
    ...folder.entries.map((entry) => entryRecord(entry, rockRidge)),
  ]
  return packRecords(records)
}

function selfRecord({ sector, bytes }: SpelledFolder, identifier: Buffer, extra?: Buffer): Buffer {
  return formatRecord({
    identifier,
    sector,
    bytes,
    isFolder: true,
    ...(extra && { extra: padToEven(extra) }),
  })
}

function entryRecord({ name, identifier, content }: SpelledEntry, rockRidge: RockRidge | undefined): Buffer {
  const { sector } = content
  const isFolder = 'entries' in content
  const bytes = isFolder ? content.bytes : content.data.length
  const record = (extra?: Buffer) =>
    formatRecord({ identifier, sector, bytes, isFolder, ...(extra && { extra: padToEven(extra) }) })
  if (!rockRidge) return record()
  const mode = formatMode(isFolder)
  const names = formatName(name)
  const fits = record().length + mode.length + names.length + 1 <= RECORD_LIMIT
  return record(Buffer.concat([mode, fits ? names : moveOut(names, rockRidge)]))
}

function rootExtra(rockRidge: RockRidge): Buffer {
  return Buffer.concat([formatStart(), formatMode(true), moveOut(formatExtension(), rockRidge)])
}

/** Puts entries into the continuation area; answers the one that points at them. */
function moveOut(entries: Buffer, { continuation, sector }: RockRidge): Buffer {
  const place = continuation.add(entries)
  return formatPointer(sector + place.sector, place.offset, place.length)
}

/** Records one after the other, none across the end of a sector. */
function packRecords(records: readonly Buffer[]): Buffer {
  const parts: Buffer[] = []
  let length = 0
  for (const record of records) {
    const room = SECTOR - (length % SECTOR)
    if (record.length > room) {
      parts.push(Buffer.alloc(room))
      length += room
    }
    parts.push(record)
    length += record.length
  }
  return padToSector(Buffer.concat(parts))
}

function sectors(bytes: number): number {
  return Math.ceil(bytes / SECTOR)
}

function padToSector(bytes: Buffer): Buffer {
  return Buffer.concat([bytes], sectors(bytes.length) * SECTOR)
}

function padToEven(bytes: Buffer): Buffer {
  return Buffer.concat([bytes], bytes.length + (bytes.length % 2))
}
