import { access, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isFinal } from '../../kinds/kubevirt.ts'
import { isAlive, signalProcess } from '../../qemu/process.ts'
import { writeDurably } from '../files/durable.ts'
import { errnoOf } from '../files/errno.ts'
import { type GuestFiles, guestFiles, type WorkerDirs } from '../files/paths.ts'
import { connectMonitor } from '../guest/monitor.ts'
import { type GuestState, readState } from '../guest/state.ts'

/** For QEMU to answer, and for writes that are under way to end. */
const ANSWER_MS = 4_000
/** How often a QEMU is asked before it is ended. */
const ATTEMPTS = 2

/** The mark of a guest that was stopped because no leader was heard of. It is there before the guest stops. */
function markOf({ stateDir }: Pick<GuestFiles, 'stateDir'>): string {
  return join(stateDir, 'held.json')
}

/** Whether the guest was stopped because no leader was heard of. */
export async function isHeld(files: Pick<GuestFiles, 'stateDir'>): Promise<boolean> {
  try {
    await access(markOf(files))
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}

/** A leader has said that the guest is still this node's. */
export async function clearHold(files: Pick<GuestFiles, 'stateDir'>): Promise<void> {
  await rm(markOf(files), { force: true })
}

/** What came of holding a guest: it stands still now, did before, or had to be ended. */
export type Held = 'held' | 'still' | 'ended'

/** Stops all guests of a worker that may be started elsewhere. Answers what was done, by UID. */
export async function holdGuests(dirs: WorkerDirs, signal: AbortSignal): Promise<Map<string, Held>> {
  const entries = await readdir(dirs.stateDir, { withFileTypes: true })
  const uids = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  const done = await Promise.all(
    uids.map(async (uid): Promise<[string, Held] | undefined> => {
      const held = await holdIfMarked(dirs, uid, signal)
      return held && [uid, held]
    }),
  )
  return new Map(done.flatMap((one) => (one ? [one] : [])))
}

async function holdIfMarked(dirs: WorkerDirs, uid: string, signal: AbortSignal): Promise<Held | undefined> {
  // What is no guest's folder has no record; one that is being removed may lose it meanwhile.
  const state = await readState(join(dirs.stateDir, uid, 'state.json')).catch(() => undefined)
  if (!state?.failover || !state.process || isFinal(state.phase) || !isAlive(state.process)) return undefined
  return holdGuest(state, guestFiles(dirs, uid), signal)
}

/** A QEMU that does not stop is ended: the guest may be running elsewhere in a moment. */
async function holdGuest(state: GuestState, files: GuestFiles, signal: AbortSignal): Promise<Held> {
  const { process: qemu } = state
  if (!qemu) return 'still'
  for (let left = ATTEMPTS; left > 0; left--) {
    try {
      return await stop(state, files, signal)
    } catch {
      signal.throwIfAborted()
      if (!isAlive(qemu)) return 'ended'
    }
  }
  signalProcess(qemu, 'SIGKILL')
  return 'ended'
}

async function stop(
  { process: qemu, launch }: GuestState,
  files: GuestFiles,
  signal: AbortSignal,
): Promise<Held> {
  if (!qemu) return 'still'
  const ownerUid = launch?.user?.uid ?? process.getuid?.() ?? 0
  await using qmp = await connectMonitor({ process: qemu, ownerUid, files, timeoutMs: ANSWER_MS }, signal)
  const ask = () => qmp.execute<{ running: boolean }>('query-status', {}, { timeoutMs: ANSWER_MS, signal })
  if (!(await ask()).running) return 'still'
  await writeDurably(markOf(files), JSON.stringify({ since: new Date().toISOString() }))
  // Answers once writes that were under way have ended.
  await qmp.execute('stop', {}, { timeoutMs: ANSWER_MS, signal })
  if ((await ask()).running) throw new Error('QEMU goes on after stop')
  return 'held'
}
