import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Clock, wait } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { unlessMissing } from './files/errno.ts'
import type { GcLimits } from './images/collect.ts'
import type { ImageStore } from './images/store.ts'

/** What collecting images takes. */
export interface ImageKeeperOptions {
  images: Pick<ImageStore, 'collect' | 'dropUses'>
  /** State directory of the worker, by its real name: each guest has a directory in it. */
  stateDir: string
  limits: GcLimits
  clock: Clock
  log: Log
}

/** As kubelet does. */
const LOOK_MS = 5 * 60_000

/** Removes images that no guest has, for as long as it is open. Source of the limits: kubelet's image garbage collection. */
export function keepImagesFew(options: ImageKeeperOptions): AsyncDisposable {
  const stop = new AbortController()
  const done = keep(options, stop.signal)
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await done
    },
  }
}

async function keep({ images, stateDir, limits, clock, log }: ImageKeeperOptions, signal: AbortSignal) {
  // Those of other workers that share the store are not ours to judge.
  const isGone = async (holder: string): Promise<boolean> =>
    dirname(holder) === stateDir && (await unlessMissing(stat(holder))) === undefined
  while (!signal.aborted) {
    await wait(clock, LOOK_MS, signal)
    if (signal.aborted) return
    try {
      await images.dropUses(isGone)
      const removed = await images.collect(limits, clock)
      if (removed.length > 0) log.info({ images: removed }, 'removed images that no guest has')
    } catch (error) {
      log.error({ err: error }, 'cannot remove images that no guest has')
    }
  }
}
