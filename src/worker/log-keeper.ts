import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, wait } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { QEMU_LOG, type WorkerDirs } from './files/paths.ts'
import { trimLog } from './files/trim-log.ts'

/** What keeping logs short takes. */
export interface LogKeeperOptions {
  dirs: WorkerDirs
  /** Bytes that what QEMU prints about one guest may have; 0 is no limit. */
  limitBytes: number
  clock: Clock
  log: Log
}

const LOOK_MS = 10_000

/** Keeps what QEMUs print short, for as long as it is open: a guest can make its QEMU print for ever. */
export function keepLogsShort(options: LogKeeperOptions): AsyncDisposable {
  const stop = new AbortController()
  const done = options.limitBytes > 0 ? keep(options, stop.signal) : undefined
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await done
    },
  }
}

async function keep(options: LogKeeperOptions, signal: AbortSignal): Promise<void> {
  const { clock, log } = options
  while (!signal.aborted) {
    await trimAll(options).catch((error: unknown) =>
      log.error({ err: error }, 'cannot cut the logs of guests'),
    )
    await wait(clock, LOOK_MS, signal)
  }
}

async function trimAll({ dirs, limitBytes, log }: LogKeeperOptions): Promise<void> {
  for (const entry of await readdir(dirs.stateDir, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue
    const file = join(dirs.stateDir, entry.name, QEMU_LOG)
    if (await trimLog(file, limitBytes))
      log.warn({ uid: entry.name }, 'cut what QEMU has printed about a guest')
  }
}
