import { rejected } from './error.ts'
import type { Layout } from './layout.ts'
import { blobPath } from './layout.ts'
import { type LayerEntry, type LayerLimits, readLayer } from './layers.ts'
import type { Descriptor } from './manifest.ts'

/** What is looked for in an image: one file by its path, or the only file below a folder. */
export type Wanted = { file: string } | { onlyFileBelow: string }

/** A file that is what the image shows at its path. */
export interface FoundFile {
  path: string
  layer: Descriptor
}

/** Takes a file's contents. Called for each file that is found, before it is known to be the only one. */
export type TakeFile = (file: FoundFile, body: AsyncIterable<Buffer>, size: number) => Promise<void>

const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'

/**
 * Looks through an image's layers, from the top, for the file that is wanted.
 *
 * What a layer deletes or replaces hides what lies below it. Only plain files count: a link, device or pipe on the
 * way is refused, so that no path ever means something else than it says.
 * Throws `ImageError` with reason `ImageRejected`.
 * Source: "Image Layer Filesystem Changeset" of the OCI image specification.
 */
export async function findFile(
  layers: readonly Descriptor[],
  wanted: Wanted,
  take: TakeFile,
  context: { layout: Layout; limits: LayerLimits; where: string; signal: AbortSignal },
): Promise<FoundFile> {
  const found = new Map<string, FoundFile>()
  const hidden = new Hidden()
  const goal = splitPath('file' in wanted ? wanted.file : wanted.onlyFileBelow)
  for (const layer of layers.toReversed()) {
    const search = new LayerSearch(wanted, goal, hidden, context.where)
    const file = blobPath(context.layout, layer.digest)
    for await (const entry of readLayer(file, context.where, context.limits, context.signal)) {
      if (!search.isWanted(entry)) continue
      const match = { path: entry.path, layer }
      found.set(entry.path, match)
      if (found.size > 1) throw tooMany([...found.keys()], context.where)
      await take(match, entry.body, entry.size)
    }
    search.hideLower()
    if (('file' in wanted && found.size > 0) || hidden.covers(goal)) break
  }
  const [match] = found.values()
  if (match) return match
  throw rejected(
    'file' in wanted
      ? `${context.where} has no file ${wanted.file}`
      : `${context.where} has no disk: there is no file below ${wanted.onlyFileBelow}`,
  )
}

/** The parts of a path. Throws for one that is not absolute, or goes up. */
export function splitPath(path: string): string[] {
  const parts = path.split('/').filter(Boolean)
  const isPlain = path.startsWith('/') && !path.includes('\0') && parts.length > 0
  if (!isPlain || parts.includes('..') || parts.includes('.')) {
    throw rejected(
      `${JSON.stringify(path.slice(0, 200))} is no path of a file in an image: write it as /folder/file`,
    )
  }
  return parts
}

/** Paths that upper layers keep from being seen in lower ones. */
class Hidden {
  /** Gone with all below. */
  readonly #paths = new Set<string>()
  /** Replaced: what lies below is gone, the folder itself is not. */
  readonly #folders = new Set<string>()

  hide(path: string): void {
    this.#paths.add(path)
  }

  hideBelow(folder: string): void {
    this.#folders.add(folder)
  }

  /** Whether nothing at this path is to be seen any more. */
  covers(parts: readonly string[]): boolean {
    const above = parts.map((_part, at) => parts.slice(0, at).join('/'))
    const path = parts.join('/')
    return (
      [path, ...above].some((each) => this.#paths.has(each)) || above.some((each) => this.#folders.has(each))
    )
  }
}

/** The search through one layer. What it hides, it hides from the layers below only. */
class LayerSearch {
  readonly #wanted: Wanted
  readonly #goal: readonly string[]
  readonly #hidden: Hidden
  readonly #where: string
  readonly #seen = new Set<string>()
  readonly #toHide: (() => void)[] = []

  constructor(wanted: Wanted, goal: readonly string[], hidden: Hidden, where: string) {
    this.#wanted = wanted
    this.#goal = goal
    this.#hidden = hidden
    this.#where = where
  }

  /** Whether the entry is a file that is looked for. Throws where something else stands in its place. */
  isWanted(entry: LayerEntry): boolean {
    const parts = entry.path.split('/')
    const name = parts.at(-1) ?? ''
    if (name.startsWith(WHITEOUT)) {
      this.#noteWhiteout(parts.slice(0, -1), name)
      return false
    }
    const isAbove = isPrefix(parts, this.#goal)
    const isBelow = 'onlyFileBelow' in this.#wanted && isPrefix(this.#goal, parts)
    const isGoal = parts.length === this.#goal.length && isAbove
    if ((!isAbove && !isBelow && !isGoal) || this.#hidden.covers(parts)) return false
    if (entry.type === 'directory') {
      if (isGoal && 'file' in this.#wanted) throw this.#refuse(entry, 'a folder')
      return false
    }
    if (isAbove && !(isGoal && 'file' in this.#wanted)) throw this.#refuse(entry, 'on the way, and no folder')
    if (entry.type !== 'file' && entry.type !== 'contiguous-file') {
      throw this.#refuse(entry, `a ${entry.type ?? 'thing of an unknown sort'}`)
    }
    if (this.#seen.has(entry.path)) throw this.#refuse(entry, 'in the same layer twice')
    this.#seen.add(entry.path)
    this.#toHide.push(() => this.#hidden.hide(entry.path))
    return true
  }

  hideLower(): void {
    for (const hide of this.#toHide) hide()
  }

  #noteWhiteout(folder: string[], name: string): void {
    const place = folder.join('/')
    if (!isPrefix(folder, this.#goal) && !isPrefix(this.#goal, folder)) return
    if (name === OPAQUE) this.#toHide.push(() => this.#hidden.hideBelow(place))
    else this.#toHide.push(() => this.#hidden.hide([...folder, name.slice(WHITEOUT.length)].join('/')))
  }

  #refuse({ path }: LayerEntry, what: string) {
    return rejected(`${JSON.stringify(`/${path}`)} of ${this.#where} is ${what}; it has to be a plain file`)
  }
}

/** Whether `parts` begins with `start`; a path begins with itself. */
function isPrefix(start: readonly string[], parts: readonly string[]): boolean {
  return start.length <= parts.length && start.every((part, at) => part === parts[at])
}

function tooMany(paths: string[], where: string) {
  const shown = paths.map((path) => JSON.stringify(`/${path}`)).join(' and ')
  return rejected(
    `${where} has more than one file that could be the disk, ${shown}: name one as the disk's path`,
  )
}
