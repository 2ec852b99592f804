/**
 * The guard of a node: stops the guests that may be started elsewhere once no leader has been heard of for too long. It is a
 * process of its own, as the worker may be stopped, stuck or dead by then. Arguments: state directory, run directory.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { holdLock } from '../files/lock.ts'
import type { WorkerDirs } from '../files/paths.ts'
import { readDeadline, writeSign } from './deadline.ts'
import { holdGuests } from './hold.ts'
import { readBootId, uptimeMs } from './uptime.ts'

const TICK_MS = 1_000
const LOCK = 'guard.lock'

const [stateDir = '', runDir = ''] = process.argv.slice(2)
await watch({ stateDir, runDir }, new AbortController().signal)

/** Looks every second until the deadline is taken away: then nobody wants a guard any more. */
async function watch(dirs: WorkerDirs, signal: AbortSignal): Promise<void> {
  using lock = holdLock(dirs.stateDir, LOCK)
  // Another one is there.
  if (!lock) return
  const bootId = readBootId()
  for (;;) {
    const deadline = await readDeadline(dirs.stateDir)
    if (!deadline) return
    const atMs = uptimeMs()
    await writeSign(dirs.stateDir, { bootId, pid: process.pid, atMs })
    if (deadline.bootId === bootId && atMs >= deadline.atMs) {
      for (const [uid, held] of await holdGuests(dirs, signal)) say(uid, held)
    }
    await sleep(TICK_MS)
  }
}

function say(uid: string, held: string): void {
  if (held === 'still') return
  const time = new Date().toISOString()
  process.stderr.write(
    `${JSON.stringify({ time, level: 'warn', uid, held, msg: 'no leader was heard of' })}\n`,
  )
}
