import type { WebSocket } from 'ws'
import type { Clock } from '../lib/clock.ts'

/** How often the peer is asked for a sign of life. Source: security C4. */
export const PING_INTERVAL_MS = 15_000
const MISSED_LIMIT = 2
/** A slow reader gets to the ping only after all that waits before it: 5 min without the least progress. */
const MISSED_LIMIT_WHILE_SENDING = 20

/** Asks a peer for signs of life. */
export interface Liveness extends Disposable {
  /** To be called whenever something got through in either direction. */
  heard(): void
}

/** Pings until disposed of; calls `onDead` once when nothing comes back. */
export function watchLiveness(socket: WebSocket, clock: Clock, onDead: () => void): Liveness {
  let missed = 0
  let timer = clock.after(PING_INTERVAL_MS, tick)
  const heard = (): void => {
    missed = 0
  }
  socket.on('pong', heard)

  function tick(): void {
    // Held back because the guest does not read, we do not see what the peer answers.
    if (socket.isPaused) missed = 0
    const limit = socket.bufferedAmount > 0 ? MISSED_LIMIT_WHILE_SENDING : MISSED_LIMIT
    if (missed >= limit) {
      onDead()
      return
    }
    missed += 1
    if (socket.readyState === socket.OPEN) socket.ping()
    timer = clock.after(PING_INTERVAL_MS, tick)
  }

  return {
    heard,
    [Symbol.dispose]() {
      timer[Symbol.dispose]()
      socket.off('pong', heard)
    },
  }
}
