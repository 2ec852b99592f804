import { timestamp } from '../../lib/clock.ts'
import { QmpError } from '../../qemu/qmp/client.ts'
import type { Machine } from '../guest/machine.ts'
import { formatFailure } from './failure.ts'
import { handOver, isHandedOver } from './hand-over.ts'
import { cutConnections, dropMirrors } from './mirror.ts'
import type { MoveParts, Step } from './mover.ts'
import { isUnderWay, queryMigrate } from './query.ts'
import type { OutgoingState } from './state.ts'
import { removeTls, removeTlsFiles, tlsDir } from './tls.ts'

/** Between looks while something ends. */
const SOON_MS = 20
/** After that, connections that keep a migration from being taken back are cut. */
const CUT_MS = 3_000

/**
 * One step of taking a migration back, which has been going on since `sinceMs`: until nothing is left of it, and the
 * guest is on as it was before. Where the target has all of the guest by now, it keeps it.
 */
export async function takeBack(
  machine: Machine,
  move: OutgoingState,
  parts: MoveParts,
  sinceMs: number,
): Promise<Step> {
  const { clock, files, log, record } = parts
  const info = await queryMigrate(machine)
  if (isHandedOver(info, await machine.runState())) return handOver(machine, move, info, parts)
  if (clock.now() - sinceMs > CUT_MS) await cutConnections(machine, move).catch(ignoreRefusal)
  if (isUnderWay(info.status)) {
    if (info.status !== 'cancelling') await machine.command('migrate_cancel')
    return { waitMs: SOON_MS }
  }
  if (!(await dropMirrors(machine, move))) return { waitMs: SOON_MS }
  await removeTls(machine)
  await removeTlsFiles(tlsDir(files))
  if (!(await goOn(machine, parts))) return { waitMs: SOON_MS }
  const isAborted = move.abortStatus === 'Aborting'
  await record.keep({
    migration: {
      ...move,
      step: 'failed',
      endTime: timestamp(clock),
      ...(isAborted && { abortStatus: 'Succeeded' as const }),
    },
  })
  log.info(
    { vmi: record.state.guest, migration: move.uid, failure: move.failure },
    'a guest stays where it is',
  )
  return 'again'
}

/** Whether the guest is on as it was: QEMU lets it go on by itself where it ran, and may need a moment. */
async function goOn(machine: Machine, { record }: MoveParts): Promise<boolean> {
  const state = await machine.runState()
  if (state === 'finish-migrate') return false
  if (state !== 'postmigrate') return true
  // Asked again: what was said before may have been about a migration that has come to its end since.
  if ((await queryMigrate(machine)).status === 'completed') return false
  if (record.state.pausedBy === undefined) await machine.command('cont')
  return true
}

/** The target is dead for certain, and the guest never ran there: it goes on here. Source: contract 5.3. */
export async function reclaim(
  machine: Machine,
  move: OutgoingState,
  { clock, record }: MoveParts,
): Promise<Step> {
  if ((await machine.runState()) === 'postmigrate' && record.state.pausedBy === undefined)
    await machine.command('cont')
  if (!(await dropMirrors(machine, move))) return { waitMs: SOON_MS }
  await record.keep({
    migration: {
      ...move,
      step: 'failed',
      failure: formatFailure('internal', 'the target ended before the guest ran there; it goes on here'),
      endTime: timestamp(clock),
    },
  })
  return 'again'
}

function ignoreRefusal(error: unknown): void {
  if (!(error instanceof QmpError)) throw error
}
