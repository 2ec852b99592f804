import { isAlive } from '../../qemu/process.ts'
import * as moves from '../migration/state.ts'
import { clearForwards } from '../network/user-net.ts'
import { endAfter, endUnseen, type GuestEnd } from './end.ts'
import { Machine } from './machine.ts'
import { endOrphans } from './orphans.ts'
import type { Wait } from './soonest.ts'
import { machineOptions, type StartOptions } from './start.ts'
import type { Launched } from './state.ts'
import { endQemu } from './stop.ts'

/** What has become of a guest: its machine, how it has ended, or when to look again. */
export type Adopted = { machine: Machine } | { end: GuestEnd } | 'again' | Wait

const ADOPT_MS = 5_000
const NOT_ANSWERING = { reason: 'Unresponsive', message: 'QEMU runs and does not answer; it is left alone' }

/**
 * There was a QEMU when this worker, or the one before, last wrote something down: connects to it, or finds out how it
 * has ended.
 */
export async function adoptGuest(options: StartOptions): Promise<Adopted> {
  const { record, files, parts, signal } = options
  const { process, launch, phase, guest, migration } = record.state
  if (!process) {
    if (launch) await endOrphans(launch, files)
    await record.keep({ launch: undefined })
    return 'again'
  }
  // Half made ready: it is made anew, as its guest has not come yet.
  if (moves.isPreparing(migration)) await endQemu(process, undefined, signal)
  else if (isAlive(process)) return attach(process, options)
  parts.log.warn({ vmi: guest, pid: process.pid }, 'a QEMU has ended while no worker was there')
  if (phase === 'Running' && !moves.isHandedOver(migration)) return { end: await endUnseen(process, files) }
  await record.keep({ process: undefined, launch: undefined })
  return 'again'
}

async function attach(process: Launched, options: StartOptions): Promise<Adopted> {
  const { record, parts, signal } = options
  const { removal, guest } = record.state
  try {
    const machine = await connect(process, options)
    parts.log.info({ vmi: guest, pid: process.pid }, 'adopted a running guest')
    return { machine }
  } catch (error) {
    if (signal.aborted || !isAlive(process)) return 'again'
    parts.log.warn({ err: error, vmi: guest, pid: process.pid }, 'a running QEMU does not answer')
    record.change({ trouble: NOT_ANSWERING })
  }
  if (!removal) return { waitMs: ADOPT_MS }
  const leftMs = removal.deadlineMs - parts.clock.now()
  if (leftMs > 0) return { waitMs: Math.min(leftMs, ADOPT_MS) }
  await record.keep(endAfter('forced', record.state.acpi))
  return 'again'
}

async function connect(process: Launched, options: StartOptions): Promise<Machine> {
  const machine = await Machine.attach(machineOptions(process, options, ADOPT_MS))
  try {
    await clearForwards(machine, options.parts.log)
    return machine
  } catch (error) {
    await machine[Symbol.asyncDispose]()
    throw error
  }
}
