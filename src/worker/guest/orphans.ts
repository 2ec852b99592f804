import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { lastQemuError } from '../../qemu/log.ts'
import { identify, type ProcessId, signalProcess, waitForExit } from '../../qemu/process.ts'
import { errnoOf, unlessMissing } from '../files/errno.ts'
import type { GuestFiles } from '../files/paths.ts'
import type { Launch, Launched } from './state.ts'

/**
 * Ends a QEMU that was started in the moment in which its worker crashed, before its process could be written down.
 * Its guest has never run. It is known by its pid file, which no other process names, and by its user.
 */
export async function endOrphans(launch: Launch, files: GuestFiles): Promise<void> {
  const pidFile = join(files.runDir, 'qemu.pid')
  const ownerUid = launch.user?.uid ?? process.getuid?.()
  for (const entry of await readdir('/proc')) {
    const id = /^\d+$/.test(entry) ? identify(Number(entry)) : undefined
    if (!id || !(await hasArgument(id, pidFile)) || (await uidOf(id)) !== ownerUid) continue
    signalProcess(id, 'SIGKILL')
    await waitForExit(id)
  }
}

async function hasArgument({ pid }: ProcessId, argument: string): Promise<boolean> {
  const text = await readIfRunning(`/proc/${pid}/cmdline`)
  return text?.split('\0').includes(argument) ?? false
}

async function uidOf({ pid }: ProcessId): Promise<number | undefined> {
  const text = await readIfRunning(`/proc/${pid}/status`)
  const uid = /^Uid:\t(\d+)/m.exec(text ?? '')?.[1]
  return uid === undefined ? undefined : Number(uid)
}

async function readIfRunning(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '')) return undefined
    throw error
  }
}

/** Why a QEMU may have ended while nobody looked, for people. */
export async function causeOfDeath(process: Launched, files: GuestFiles): Promise<string> {
  const here = identify(globalThis.process.pid)
  if (here && here.bootId !== process.bootId) return 'the node was restarted'
  const said = await unlessMissing(lastQemuError(files.log, process.logOffset))
  return said ? `QEMU ended: ${said}` : 'QEMU ended without a word; it may have been killed'
}
