/** Reads all guests of a node at once, each for a limited time. */
import { wait, type Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Reading } from '../../metrics/reading.ts'
import { readingsOf, type ObservedGuest } from './guest.ts'

/** A guest that says nothing by then is left out: the rest of a scrape has to get through. */
const GUEST_MS = 2_000

/** What the readings are taken with. */
export interface CollectOptions {
  nodeName: string
  clock: Clock
  log: Log
}

/** Reads guests. */
export interface FigureReader {
  read(guests: readonly ObservedGuest[], signal?: AbortSignal): Promise<Reading[]>
}

/** A QEMU that still owes an answer is not asked again: what it is asked would pile up. */
export function buildFigureReader({ nodeName, clock, log }: CollectOptions): FigureReader {
  const owing = new WeakSet<object>()

  async function readOne(guest: ObservedGuest, signal: AbortSignal): Promise<Reading[]> {
    const { machine, state } = guest
    if (owing.has(machine)) return []
    owing.add(machine)
    const late = wait(clock, GUEST_MS, signal)
    const parts = readingsOf(nodeName, guest).map((part) =>
      part.catch((error: unknown) => {
        log.debug({ err: error, vmi: state.guest.name }, 'figures of a guest cannot be read')
        return []
      }),
    )
    void Promise.all(parts).then(() => owing.delete(machine))
    const read = await Promise.all(parts.map((part) => Promise.race([part, late])))
    return read.flatMap((readings) => readings ?? [])
  }

  return {
    async read(guests, signal) {
      const done = new AbortController()
      const until = AbortSignal.any([done.signal, ...(signal ? [signal] : [])])
      const all = await Promise.all(guests.map((guest) => readOne(guest, until)))
      done.abort()
      return all.flat()
    },
  }
}
