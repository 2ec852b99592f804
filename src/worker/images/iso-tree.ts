/** A file of an image. */
export interface IsoFile {
  name: string
  data: Buffer
  /** Set when the image is laid out. */
  sector: number
}

/** A folder of an image. */
export interface IsoFolder {
  name: string
  files: IsoFile[]
  folders: IsoFolder[]
}

const LONGEST_NAME = 255
const JOLIET_LENGTH = 64
const DEEPEST = 7

/**
 * The tree of these files, by their paths such as `openstack/latest/user_data`.
 *
 * Throws `RangeError` for a path that an image cannot hold.
 */
export function buildTree(files: Record<string, Buffer | string>): IsoFolder {
  const root: IsoFolder = { name: '', files: [], folders: [] }
  for (const [path, data] of Object.entries(files)) {
    const names = path.split('/')
    checkNames(names, path)
    const name = names.pop() ?? ''
    const folder = names.reduce((parent, each) => openFolder(parent, each, path), root)
    if ([...folder.files, ...folder.folders].some((other) => other.name === name)) throw twice(path)
    folder.files.push({ name, data: typeof data === 'string' ? Buffer.from(data) : data, sector: 0 })
  }
  return root
}

function openFolder(parent: IsoFolder, name: string, path: string): IsoFolder {
  if (parent.files.some((file) => file.name === name)) throw twice(path)
  const found = parent.folders.find((folder) => folder.name === name)
  if (found) return found
  const folder: IsoFolder = { name, files: [], folders: [] }
  parent.folders.push(folder)
  return folder
}

function twice(path: string): RangeError {
  return new RangeError(`an image cannot have ${JSON.stringify(path)} as a file and a folder`)
}

function checkNames(names: string[], path: string): void {
  const isOdd = (name: string) => ['', '.', '..'].includes(name) || name.includes('\0')
  if (names.some(isOdd)) throw new RangeError(`${JSON.stringify(path)} is no path of a file in an image`)
  if (names.length > DEEPEST) throw new RangeError(`${path} lies deeper than ${DEEPEST} folders`)
  if (names.some((name) => Buffer.byteLength(name) > LONGEST_NAME)) {
    throw new RangeError(`${path} has a name of more than ${LONGEST_NAME} bytes`)
  }
}

/** A folder as one of the directory trees spells it. */
export interface SpelledFolder {
  identifier: Buffer
  /** Absent for the root. */
  parent: SpelledFolder | undefined
  /** In the order of their identifiers. */
  entries: SpelledEntry[]
  /** Where its records stand, and how many bytes they take: set when the image is laid out. */
  sector: number
  bytes: number
}

/** A file or folder in a folder. */
export interface SpelledEntry {
  /** In full. */
  name: string
  identifier: Buffer
  content: IsoFile | SpelledFolder
}

/** All folders in one spelling, in the order of a path table: those above first, then by identifier. */
export function spellTree(
  root: IsoFolder,
  encode: (text: string) => Buffer,
  shorten: Shorten,
): SpelledFolder[] {
  const top = newFolder(Buffer.alloc(1))
  const queue = [{ source: root, spelled: top }]
  // Grows while it is walked.
  for (const { source, spelled } of queue) {
    const items = [...source.folders, ...source.files]
    const short = shorten(items.map((item) => ({ name: item.name, isFolder: 'folders' in item })))
    items.forEach((item, at) => {
      const identifier = encode(short[at] ?? '')
      const content = 'folders' in item ? newFolder(identifier, spelled) : item
      spelled.entries.push({ name: item.name, identifier, content })
    })
    spelled.entries.sort((left, right) => Buffer.compare(left.identifier, right.identifier))
    for (const { name, content } of spelled.entries) {
      const folder = source.folders.find((each) => each.name === name)
      if (folder && 'entries' in content) queue.push({ source: folder, spelled: content })
    }
  }
  return queue.map(({ spelled }) => spelled)
}

function newFolder(identifier: Buffer, parent?: SpelledFolder): SpelledFolder {
  return { identifier, parent, entries: [], sector: 0, bytes: 0 }
}

/** Every file of a tree. */
export function listFiles(folder: IsoFolder): IsoFile[] {
  return [...folder.files, ...folder.folders.flatMap(listFiles)]
}

/** Gives each of the names of one folder a short one that no other has. */
export type Shorten = (names: { name: string; isFolder: boolean }[]) => string[]

/** Names of plain ISO 9660: eight capital letters, a dot and three more for a file. */
export const plainNames: Shorten = (names) => {
  const taken = new Set<string>()
  return names.map(({ name, isFolder }) => {
    const dot = isFolder ? -1 : name.lastIndexOf('.')
    const base = capitals(dot > 0 ? name.slice(0, dot) : name)
    const ending = isFolder ? '' : `.${capitals(dot > 0 ? name.slice(dot + 1) : '').slice(0, 3)};1`
    return unique(taken, base, 8, ending)
  })
}

/** Names of Joliet: as they are, up to 64 characters, without those that it reserves. */
export const jolietNames: Shorten = (names) => {
  const taken = new Set<string>()
  return names.map(({ name }) => unique(taken, name.replaceAll(/[*:;?\\]/g, '_'), JOLIET_LENGTH, ''))
}

function capitals(text: string): string {
  return text.toUpperCase().replaceAll(/[^A-Z0-9_]/g, '_')
}

function unique(taken: Set<string>, base: string, length: number, ending: string): string {
  for (let count = 0; ; count += 1) {
    const suffix = count === 0 ? '' : String(count)
    const name = base.slice(0, length - suffix.length) + suffix + ending
    if (taken.has(name)) continue
    taken.add(name)
    return name
  }
}
