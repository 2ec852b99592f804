import { watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { isPair } from './inspect.ts'
import type { KeyPair } from './issue.ts'

/** A pair and the authorities its owner trusts, in files that somebody else writes. */
export interface WatchedFiles {
  cert: string
  key: string
  ca: string
}

/** What stands in the files. All PEM. */
export interface LoadedFiles extends KeyPair {
  ca: string
}

/** The files do not hold a pair that belongs together. */
export class TornPair extends Error {
  constructor({ cert, key }: WatchedFiles) {
    super(`the certificate in ${cert} and the key in ${key} do not belong together`)
    this.name = 'TornPair'
  }
}

/** How often the files are read where no file event tells. */
const POLL_MS = 60_000
/** How soon a torn pair is read again: its writer is between two files. */
const RETRY_MS = 2_000
/** File events come in bursts. */
const SETTLE_MS = 50

/** Files that are read together. */
export interface FileSource<T> {
  files: readonly string[]
  /** Reads them. Throws where what is in them cannot be used, or what the file system throws. */
  load(): Promise<T>
}

/** The files of a pair; reading them throws `TornPair`. */
export function pairSource(files: WatchedFiles): FileSource<LoadedFiles> {
  return { files: [files.cert, files.key, files.ca], load: () => loadFiles(files) }
}

/** A file of authorities, PEM. */
export function authoritySource(file: string): FileSource<string> {
  return { files: [file], load: () => readFile(file, 'utf8') }
}

async function loadFiles(files: WatchedFiles): Promise<LoadedFiles> {
  const [cert, key, ca] = await Promise.all([
    readFile(files.cert, 'utf8'),
    readFile(files.key, 'utf8'),
    readFile(files.ca, 'utf8'),
  ])
  if (!isPair({ cert, key })) throw new TornPair(files)
  return { cert, key, ca }
}

/**
 * Yields what stands in the files each time it has changed from `present`: after file events and every minute, for
 * mounts that send none. A pair that cannot be read keeps the old one and is tried again in seconds; `onError` is
 * told once for each new reason. Ends when `signal` aborts.
 */
export async function* watchFiles<T>(
  source: FileSource<T>,
  present: T,
  signal: AbortSignal,
  onError: (error: Error) => void,
  pollMs = POLL_MS,
): AsyncGenerator<T, void, undefined> {
  using events = openEvents(source.files, signal)
  let last = present
  let reported = ''
  while (!signal.aborted) {
    await events.next(reported === '' ? pollMs : Math.min(RETRY_MS, pollMs))
    if (signal.aborted) return
    const loaded = await tryLoad(source)
    if ('problem' in loaded) {
      if (loaded.problem.message !== reported) onError(loaded.problem)
      reported = loaded.problem.message
      continue
    }
    reported = ''
    if (isDeepStrictEqual(loaded.content, last)) continue
    last = loaded.content
    yield last
  }
}

async function tryLoad<T>(source: FileSource<T>): Promise<{ content: T } | { problem: Error }> {
  try {
    return { content: await source.load() }
  } catch (error) {
    return { problem: error instanceof Error ? error : new Error(String(error)) }
  }
}

interface FileEvents extends Disposable {
  /** Resolves after the next event, after `ms`, or when the signal aborts. */
  next(ms: number): Promise<void>
}

/** Watches the folders, not the files: those are replaced by renames and symlink swaps. */
function openEvents(files: readonly string[], signal: AbortSignal): FileEvents {
  let pending = false
  let wake = () => {}
  const watchers = [...new Set(files.map((file) => dirname(file)))].map((folder) =>
    // Where events cannot be had the poll is enough, so an error of the watcher is no failure.
    watch(folder, { persistent: false }, () => {
      pending = true
      wake()
    }).on('error', () => {}),
  )
  return {
    async next(ms) {
      const woken = new AbortController()
      wake = () => woken.abort()
      const either = AbortSignal.any([signal, woken.signal])
      if (!pending) await sleep(ms, undefined, { signal: either, ref: false }).catch(ignoreAbort)
      if (pending) await sleep(SETTLE_MS, undefined, { signal }).catch(ignoreAbort)
      pending = false
      wake = () => {}
    },
    [Symbol.dispose]() {
      for (const watcher of watchers) watcher.close()
    },
  }
}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) throw error
}
