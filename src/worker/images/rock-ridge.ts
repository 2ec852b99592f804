import { SECTOR, bothEnds32 } from './iso-records.ts'

/**
 * Entries that give plain ISO 9660 names of any case and length, as Linux reads them.
 *
 * Source: "System Use Sharing Protocol" 1.12 and "Rock Ridge Interchange Protocol" 1.09.
 */

const FOLDER_MODE = 0o040555
const FILE_MODE = 0o100444
const LONGEST_ENTRY = 255
const CONTINUES = 1

/** Where entries go that do not fit into a directory record. */
export class Continuation {
  readonly #parts: Buffer[] = []
  #length = 0

  /** Takes entries; they never cross the end of a sector. */
  add(entries: Buffer): { sector: number; offset: number; length: number } {
    const room = SECTOR - (this.#length % SECTOR)
    if (entries.length > room) this.#append(Buffer.alloc(room))
    const at = this.#length
    this.#append(entries)
    return { sector: Math.floor(at / SECTOR), offset: at % SECTOR, length: entries.length }
  }

  /** All that was added. */
  bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }

  #append(bytes: Buffer): void {
    this.#parts.push(bytes)
    this.#length += bytes.length
  }
}

/** The permissions of a file or folder: all may read, none may write. */
export function formatMode(isFolder: boolean): Buffer {
  const [links, user, group] = [1, 0, 0]
  const fields = [isFolder ? FOLDER_MODE : FILE_MODE, links, user, group].map(bothEnds32)
  return entry('PX', Buffer.concat(fields))
}

/** A name of any length, in as many entries as it takes. */
export function formatName(name: string): Buffer {
  const bytes = Buffer.from(name)
  const step = LONGEST_ENTRY - 5
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; at += step) {
    const flags = at + step < bytes.length ? CONTINUES : 0
    parts.push(entry('NM', Buffer.concat([Buffer.from([flags]), bytes.subarray(at, at + step)])))
  }
  return Buffer.concat(parts)
}

/** Tells where in the continuation area the list goes on. */
export function formatPointer(sector: number, offset: number, length: number): Buffer {
  return entry('CE', Buffer.concat([sector, offset, length].map(bothEnds32)))
}

/** First of all entries, in the root folder's own record. */
export function formatStart(): Buffer {
  return entry('SP', Buffer.from([0xbe, 0xef, 0]))
}

/** Says that the entries are those of Rock Ridge. */
export function formatExtension(): Buffer {
  const texts = [
    'RRIP_1991A',
    'THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS',
    'PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME ' +
      'DESCRIPTOR FOR CONTACT INFORMATION.',
  ]
  const version = 1
  const head = Buffer.from([...texts.map(({ length }) => length), version])
  return entry('ER', Buffer.concat([head, Buffer.from(texts.join(''), 'latin1')]))
}

function entry(signature: string, body: Buffer): Buffer {
  const version = 1
  return Buffer.concat([Buffer.from(signature, 'latin1'), Buffer.from([body.length + 4, version]), body])
}
