import type { Duplex } from 'node:stream'
import { systemClock, type Clock } from '../lib/clock.ts'
import type { StatusError } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import type { Actions, NodeUpdate } from './actions.ts'
import { withHeartbeat } from './heartbeat.ts'
import { toWireError } from './wire.ts'

/**
 * A worker in the same process, behind the same border as one across the wire: what goes over is copied, only
 * refusals come back as they are, watches have heartbeats. Streams are passed through.
 */
export function connectInProcess(actions: Actions, log: Log, clock: Clock = systemClock): Actions {
  async function cross<T>(action: string, run: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted()
    try {
      return await untilAborted(run(), signal)
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      throw asSeenOutside(error, action, log)
    }
  }

  return {
    info: (signal) => cross('info', async () => structuredClone(await actions.info(signal)), signal),
    sync: (request, signal) =>
      cross(
        'sync',
        async () => structuredClone(await actions.sync(structuredClone(request), signal)),
        signal,
      ),
    remove: (guest, options, signal) =>
      cross('remove', () => actions.remove({ ...guest }, { ...options }, signal), signal),
    report: (guest, signal) =>
      cross('report', async () => structuredClone(await actions.report({ ...guest }, signal)), signal),
    watch: (signal) => copies(withHeartbeat((until) => actions.watch(until), clock, signal)),
    pause: (guest, signal) => cross('pause', () => actions.pause({ ...guest }, signal), signal),
    unpause: (guest, signal) => cross('unpause', () => actions.unpause({ ...guest }, signal), signal),
    softreboot: (guest, signal) =>
      cross('softreboot', () => actions.softreboot({ ...guest }, signal), signal),
    reset: (guest, signal) => cross('reset', () => actions.reset({ ...guest }, signal), signal),
    console: (guest, signal) =>
      cross('console', () => handOver(actions.console({ ...guest }, signal), signal), signal),
    vnc: (guest, options, signal) =>
      cross('vnc', () => handOver(actions.vnc({ ...guest }, { ...options }, signal), signal), signal),
  }
}

async function* copies(updates: AsyncIterable<NodeUpdate>): AsyncGenerator<NodeUpdate, void, void> {
  for await (const update of updates) yield structuredClone(update)
}

/** A stream may break before whoever asked for it listens, and come when nobody waits for it any more. */
async function handOver(stream: Promise<Duplex>, signal: AbortSignal | undefined): Promise<Duplex> {
  const opened = await stream
  opened.on('error', () => {})
  if (signal?.aborted) opened.destroy()
  return opened
}

/** The call ends when the signal aborts, though the work may go on. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function asSeenOutside(error: unknown, action: string, log: Log): StatusError {
  const refusal = toWireError(error)
  if (refusal.code === 500) log.error({ err: refusal.cause ?? refusal, action }, 'call failed')
  return refusal
}
