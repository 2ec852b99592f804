/** Bytes of a sector, which is also the block size. */
export const SECTOR = 2048

/** How one of the two directory trees of an image spells things. */
export interface Spelling {
  /** Bytes of a name in directory records and path tables. */
  encode: (text: string) => Buffer
  /** Fills a field of a volume descriptor. */
  pad: Buffer
  /** Descriptor type: primary or supplementary. */
  type: 1 | 2
  /** Says which characters a supplementary tree has. */
  escape: string
}

/** Plain ISO 9660. */
export const PLAIN: Spelling = {
  encode: (text) => Buffer.from(text, 'latin1'),
  pad: Buffer.from(' '),
  type: 1,
  escape: '',
}

/** Joliet: UCS-2, big end first. Source: the Joliet specification, 1995. */
export const JOLIET: Spelling = {
  encode: (text) => Buffer.from(text, 'utf16le').swap16(),
  pad: Buffer.from([0, 0x20]),
  type: 2,
  escape: '%/E',
}

/** What a directory record says. */
export interface RecordFields {
  /** `\0` for a folder itself, `\x01` for the one above. */
  identifier: Buffer
  sector: number
  bytes: number
  isFolder: boolean
  /** System use area, of even length. */
  extra?: Buffer
}

/** A fixed moment, so that the same files make the same image: 1 January 2000, UTC. */
const SHORT_DATE = Buffer.from([100, 1, 1, 0, 0, 0, 0])
const LONG_DATE = Buffer.from('2000010100000000\0', 'latin1')
const NO_DATE = Buffer.from('0000000000000000\0', 'latin1')

/** A directory record. Source: ECMA-119, section 9.1. */
export function formatRecord({ identifier, sector, bytes, isFolder, extra }: RecordFields): Buffer {
  const fixed = Buffer.alloc(33)
  const padding = Buffer.alloc(identifier.length % 2 === 0 ? 1 : 0)
  const record = Buffer.concat([fixed, identifier, padding, extra ?? Buffer.alloc(0)])
  record.writeUInt8(record.length, 0)
  bothEnds32(sector).copy(record, 2)
  bothEnds32(bytes).copy(record, 10)
  SHORT_DATE.copy(record, 18)
  record.writeUInt8(isFolder ? 2 : 0, 25)
  bothEnds16(1).copy(record, 28)
  record.writeUInt8(identifier.length, 32)
  return record
}

/** What a volume descriptor says. */
export interface VolumeFields {
  label: string
  totalSectors: number
  pathTable: { bytes: number; littleEnd: number; bigEnd: number }
  /** The root folder's record, 34 bytes. */
  root: Buffer
}

/** A primary or supplementary volume descriptor. Source: ECMA-119, sections 8.4 and 8.5. */
export function formatVolume(
  spelling: Spelling,
  { label, totalSectors, pathTable, root }: VolumeFields,
): Buffer {
  const sector = Buffer.alloc(SECTOR)
  sector.write(`${String.fromCharCode(spelling.type)}CD001\x01`, 0, 'latin1')
  for (const [start, end] of TEXT_FIELDS) sector.fill(spelling.pad, start, end)
  // Joliet has half as many characters for a label.
  spelling.encode(label).copy(sector, 40, 0, 32)
  bothEnds32(totalSectors).copy(sector, 80)
  sector.write(spelling.escape, 88, 'latin1')
  bothEnds16(1).copy(sector, 120)
  bothEnds16(1).copy(sector, 124)
  bothEnds16(SECTOR).copy(sector, 128)
  bothEnds32(pathTable.bytes).copy(sector, 132)
  sector.writeUInt32LE(pathTable.littleEnd, 140)
  sector.writeUInt32BE(pathTable.bigEnd, 148)
  root.copy(sector, 156)
  const dates = [LONG_DATE, LONG_DATE, NO_DATE, NO_DATE]
  dates.forEach((date, at) => date.copy(sector, 813 + at * LONG_DATE.length))
  sector.writeUInt8(1, 881)
  return sector
}

/** System, volume, volume set, publisher, preparer, application; copyright, abstract, bibliography. */
const TEXT_FIELDS = [
  [8, 40],
  [40, 72],
  [190, 318],
  [318, 446],
  [446, 574],
  [574, 702],
  [702, 739],
  [739, 776],
  [776, 813],
] as const

/** Ends the list of descriptors. */
export function formatTerminator(): Buffer {
  const sector = Buffer.alloc(SECTOR)
  sector.write('\xffCD001\x01', 0, 'latin1')
  return sector
}

/** One folder of a path table. */
export interface PathTableEntry {
  identifier: Buffer
  sector: number
  /** Number of the folder above, counted from 1. */
  parent: number
}

/** A path table, its numbers with the big or the little end first. Source: ECMA-119, section 9.4. */
export function formatPathTable(entries: readonly PathTableEntry[], bigEnd: boolean): Buffer {
  const records = entries.map(({ identifier, sector, parent }) => {
    const record = Buffer.alloc(8 + identifier.length + (identifier.length % 2))
    record.writeUInt8(identifier.length, 0)
    if (bigEnd) record.writeUInt32BE(sector, 2)
    else record.writeUInt32LE(sector, 2)
    if (bigEnd) record.writeUInt16BE(parent, 6)
    else record.writeUInt16LE(parent, 6)
    identifier.copy(record, 8)
    return record
  })
  return Buffer.concat(records)
}

/** A number in 8 bytes: little end first, then big end first. */
export function bothEnds32(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32LE(value, 0)
  bytes.writeUInt32BE(value, 4)
  return bytes
}

function bothEnds16(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt16LE(value, 0)
  bytes.writeUInt16BE(value, 2)
  return bytes
}
