import { wait, type Clock } from '../lib/clock.ts'
import type { NodeUpdate } from './actions.ts'
import { HEARTBEAT_MS } from './wire.ts'

/**
 * A watch with a heartbeat wherever nothing else came for ten seconds. Ends with its source, or when `signal` aborts;
 * a reader that stops early ends the source.
 */
export async function* withHeartbeat(
  watch: (signal: AbortSignal) => AsyncIterable<NodeUpdate>,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<NodeUpdate, void, void> {
  const stopped = new AbortController()
  const updates = watch(AbortSignal.any([signal, stopped.signal]))[Symbol.asyncIterator]()
  let next = updates.next()
  try {
    for (;;) {
      const result = await within(next, clock)
      if (result === 'late') {
        yield { type: 'heartbeat' }
        continue
      }
      if (result.done) return
      next = updates.next()
      // If the reader stops here, nobody else would see how it failed.
      next.catch(() => {})
      yield result.value
    }
  } finally {
    stopped.abort()
    await updates.return?.()
  }
}

async function within<T>(promise: Promise<T>, clock: Clock): Promise<T | 'late'> {
  const answered = new AbortController()
  const late = wait(clock, HEARTBEAT_MS, answered.signal).then(() => 'late' as const)
  try {
    return await Promise.race([promise, late])
  } finally {
    answered.abort()
  }
}
