import { timestamp } from '../../lib/clock.ts'
import type { Machine } from '../guest/machine.ts'
import type { MoveParts, Step } from './mover.ts'
import { type MigrateInfo, queryMigrate } from './query.ts'
import type { OutgoingState } from './state.ts'
import { removeTls } from './tls.ts'

/** QEMU is asked so often for the downtime, with so many milliseconds between, until it has worked it out. */
const SETTLE_TRIES = 10
const SETTLE_MS = 20

/**
 * Whether the target has all of the guest, by what QEMU has said of the migration and then of its run state. A QEMU that was a target once goes on saying `completed` of that; but only
 * one that has sent its guest stands still as `postmigrate`.
 */
export function isHandedOver({ status }: MigrateInfo, runState: string): boolean {
  return status === 'completed' && runState === 'postmigrate'
}

/** Writes down that the target has all of the guest: from here on it never runs here by itself. */
export async function handOver(
  machine: Machine,
  move: OutgoingState,
  info: MigrateInfo,
  parts: MoveParts,
): Promise<Step> {
  const { clock, log, record } = parts
  const { abortStatus, failure: _failure, ...rest } = move
  const handed: OutgoingState = {
    ...rest,
    step: 'handedOver',
    endTime: timestamp(clock),
    ...(abortStatus && { abortStatus: 'Failed' as const }),
  }
  await record.keep({ migration: handed })
  const downtimeMs = info.downtime || (await downtimeOf(machine, parts))
  const progress = {
    totalBytes: 0,
    transferredBytes: 0,
    iteration: 0,
    ...move.progress,
    remainingBytes: 0,
    ...(downtimeMs !== undefined && { downtimeMs }),
  }
  await record.keep({ migration: { ...handed, progress } })
  log.info({ vmi: record.state.guest, migration: move.uid, downtimeMs }, 'a guest was handed over')
  await removeTls(machine)
  return 'again'
}

/** Right after the end QEMU may not have worked it out yet. Source: contract 2.10. */
async function downtimeOf(machine: Machine, { clock }: MoveParts): Promise<number | undefined> {
  for (let tries = 0; tries < SETTLE_TRIES; tries += 1) {
    const { promise, resolve } = Promise.withResolvers<void>()
    using _timer = clock.after(SETTLE_MS, resolve)
    await promise
    const { downtime } = await queryMigrate(machine)
    if (downtime) return downtime
  }
  return undefined
}
