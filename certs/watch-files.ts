import { watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
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

/** Reads the files as a pair. Throws `TornPair`, or what the file system throws. */
export async function loadFiles(files: WatchedFiles): Promise<LoadedFiles> {
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
export async function* watchFiles(
  files: WatchedFiles,
  present: LoadedFiles,
  signal: AbortSignal,
  onError: (error: Error) => void,
  pollMs = POLL_MS,
): AsyncGenerator<LoadedFiles, void, undefined> {
  using events = openEvents(files, signal)
  let last = present
  let reported = ''
  while (!signal.aborted) {
    await events.next(reported === '' ? pollMs : Math.min(RETRY_MS, pollMs))
    if (signal.aborted) return
    const loaded = await loadFiles(files).catch((error: Error) => error)
    if (loaded instanceof Error) {
      if (loaded.message !== reported) onError(loaded)
      reported = loaded.message
      continue
    }
    reported = ''
    if (isSame(loaded, last)) continue
    last = loaded
    yield loaded
  }
}

function isSame(left: LoadedFiles, right: LoadedFiles): boolean {
  return left.cert === right.cert && left.key === right.key && left.ca === right.ca
}

interface FileEvents extends Disposable {
  /** Resolves after the next event, after `ms`, or when the signal aborts. */
  next(ms: number): Promise<void>
}

/** Watches the folders, not the files: those are replaced by renames and symlink swaps. */
function openEvents({ cert, key, ca }: WatchedFiles, signal: AbortSignal): FileEvents {
  let pending = false
  let wake = () => {}
  const watchers = [...new Set([cert, key, ca].map(dirname))].map((folder) =>
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
