import { join } from 'node:path'
import { isAlive, waitForExit } from '../../qemu/process.ts'
import { connectQmp, type QmpClient, QmpClosed } from '../../qemu/qmp/client.ts'
import type { GuestFiles } from '../files/paths.ts'
import { type QemuSocket, withPinned } from '../files/pin.ts'
import type { Launched } from './state.ts'

/** What it takes to reach a QEMU. */
export interface MonitorOptions {
  process: Launched
  /** User that QEMU runs as. */
  ownerUid: number
  files: GuestFiles
  /** Milliseconds for QEMU to become ready. */
  timeoutMs: number
}

/** The second is for when the first is taken. */
const MONITORS = ['qmp.sock', 'qmp-aux.sock']

/** Whether a process is gone within that time. Throws the reason of `signal`. */
export async function endsWithin(process: Launched, ms: number, signal?: AbortSignal): Promise<boolean> {
  const limit = AbortSignal.timeout(ms)
  try {
    await waitForExit(process, signal ? AbortSignal.any([limit, signal]) : limit)
    return true
  } catch (error) {
    signal?.throwIfAborted()
    if (limit.aborted) return !isAlive(process)
    throw error
  }
}

/** One of its sockets, and who has to be at its other end. */
export function socketOf(
  { files, ownerUid }: Pick<MonitorOptions, 'files' | 'ownerUid'>,
  name: string,
): QemuSocket {
  return { socket: join(files.runDir, name), pinDir: files.pinDir, ownerUid }
}

/**
 * Connects to whichever of its monitors answers. Throws `QmpClosed` and `UntrustedSocket` where it has died, `QmpTimeout`
 * where it does not answer, the reason of `signal`.
 */
export async function connectMonitor(options: MonitorOptions, signal: AbortSignal): Promise<QmpClient> {
  const { process, timeoutMs } = options
  const alive = (): boolean => isAlive(process)
  let failure: unknown
  for (const socket of MONITORS) {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    try {
      const connect = (path: string) => connectQmp(path, { timeoutMs, signal: limit, alive })
      return await withPinned(socketOf(options, socket), { alive, signal: limit }, connect)
    } catch (error) {
      signal.throwIfAborted()
      failure = error
      if (!alive()) break
    }
  }
  throw failure instanceof Error ? failure : new QmpClosed('no monitor answers', failure)
}
