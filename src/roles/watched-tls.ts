import { loadFiles, watchFiles, type LoadedFiles, type WatchedFiles } from '../../certs/watch-files.ts'
import type { Log } from '../lib/log.ts'

/** A pair and its authorities in files that somebody else writes, as they are now. */
export interface WatchedTls extends AsyncDisposable {
  current(): LoadedFiles
  /** Calls back with each later content; where that throws, the one before stays in use. */
  onChange(listener: (files: LoadedFiles) => void): void
}

/** Reads the files and goes on watching them. Throws `TornPair`, or what the file system throws. */
export async function openWatchedTls(files: WatchedFiles, log: Log): Promise<WatchedTls> {
  let present = await loadFiles(files)
  const listeners = new Set<(files: LoadedFiles) => void>()
  const stop = new AbortController()
  const problem = (err: unknown) => log.error({ err, file: files.cert }, 'a certificate cannot be taken up')

  async function follow(): Promise<void> {
    for await (const loaded of watchFiles(files, present, stop.signal, problem)) {
      try {
        for (const listener of listeners) listener(loaded)
        present = loaded
        log.info({ file: files.cert }, 'a certificate was taken up')
      } catch (error) {
        problem(error)
      }
    }
  }

  const following = follow()
  return {
    current: () => present,
    onChange: (listener) => void listeners.add(listener),
    async [Symbol.asyncDispose]() {
      stop.abort()
      await following
    },
  }
}
