import { roundNumbers } from '../lib/exact-json.ts'
import type { Duplex } from 'node:stream'
import { systemClock, type Clock } from '../lib/clock.ts'
import type { StatusError } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import type { Actions, GuestRef, NodeUpdate } from './actions.ts'
import { withHeartbeat } from './heartbeat.ts'
import { toWireError } from './wire.ts'

/** An action on a guest that takes options. */
type Method<T> = (guest: GuestRef, options: object, signal?: AbortSignal) => Promise<T>
/** Names of those that answer so. */
type Name<T> = {
  [K in keyof Actions]: Actions[K] extends (
    guest: GuestRef,
    options: infer O,
    signal?: AbortSignal,
  ) => Promise<T>
    ? O extends AbortSignal | undefined
      ? never
      : K
    : never
}[keyof Actions]

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

  async function read<T>(action: string, run: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return structuredClone(await cross(action, run, signal))
  }

  function act<K extends Name<void>>(name: K): Actions[K] {
    const run = (guest: GuestRef, options: object, signal?: AbortSignal): Promise<void> => {
      // A method of this kind takes the options of its own type, which are passed on as they came.
      const method = actions[name].bind(actions) as Method<void>
      return cross(name, () => method({ ...guest }, roundNumbers(options), signal), signal)
    }
    return run
  }

  function dial<K extends Name<Duplex>>(name: K): Actions[K] {
    const run = (guest: GuestRef, options: object, signal?: AbortSignal): Promise<Duplex> => {
      // As above.
      const method = actions[name].bind(actions) as Method<Duplex>
      const open = (): Promise<Duplex> =>
        handOver(method({ ...guest }, roundNumbers(options), signal), signal)
      return cross(name, open, signal)
    }
    return run
  }

  return {
    info: (signal) => cross('info', async () => structuredClone(await actions.info(signal)), signal),
    metrics: (signal) => read('metrics', () => actions.metrics(signal), signal),
    sync: (request, signal) =>
      cross('sync', async () => structuredClone(await actions.sync(roundNumbers(request), signal)), signal),
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
    freeze: act('freeze'),
    unfreeze: (guest, signal) => cross('unfreeze', () => actions.unfreeze({ ...guest }, signal), signal),
    agentInfo: (guest, signal) => read('agentInfo', () => actions.agentInfo({ ...guest }, signal), signal),
    screenshot: (guest, options, signal) =>
      cross('screenshot', () => actions.screenshot({ ...guest }, { ...options }, signal), signal),
    sevPlatform: (guest, signal) =>
      read('sevPlatform', () => actions.sevPlatform({ ...guest }, signal), signal),
    sevMeasurement: (guest, signal) =>
      read('sevMeasurement', () => actions.sevMeasurement({ ...guest }, signal), signal),
    sevInjectSecret: act('sevInjectSecret'),
    backup: act('backup'),
    redefineCheckpoint: act('redefineCheckpoint'),
    console: dial('console'),
    consoleLog: dial('consoleLog'),
    vnc: dial('vnc'),
    usbredir: (guest, signal) =>
      cross('usbredir', () => handOver(actions.usbredir({ ...guest }, signal), signal), signal),
    vsock: dial('vsock'),
    guestExec: dial('guestExec'),
    portForward: dial('portForward'),
    migrationFacts: (ref, signal) =>
      read('migrationFacts', () => actions.migrationFacts(structuredClone(ref), signal), signal),
    prepareIncoming: (request, signal) =>
      read('prepareIncoming', () => actions.prepareIncoming(structuredClone(request), signal), signal),
    startOutgoing: (request, signal) =>
      cross('startOutgoing', () => actions.startOutgoing(structuredClone(request), signal), signal),
    cancelMigration: (ref, signal) =>
      cross('cancelMigration', () => actions.cancelMigration(structuredClone(ref), signal), signal),
    releaseMigration: (ref, epoch, signal) =>
      cross('releaseMigration', () => actions.releaseMigration(structuredClone(ref), epoch, signal), signal),
    reclaimMigration: (ref, epoch, signal) =>
      cross('reclaimMigration', () => actions.reclaimMigration(structuredClone(ref), epoch, signal), signal),
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
