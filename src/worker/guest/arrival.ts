/** A guest that comes from another node, as its life sees it. */
import type { IncomingRequest } from '../../rpc/actions.ts'
import type { GuestFiles } from '../files/paths.ts'
import { MigrationFailed } from '../migration/failure.ts'
import { receiveGuest } from '../migration/receive.ts'
import * as moves from '../migration/state.ts'
import { endOfMachine, type GuestEnd, LOST_ARRIVAL } from './end.ts'
import type { Machine } from './machine.ts'
import { causeOfDeath } from './orphans.ts'
import type { GuestRecord } from './record.ts'
import type { StartOptions } from './start.ts'
import type { Starter } from './starter.ts'

/** How a guest ended, or why it will not come: then it never has run here. */
type NotHere = { end: GuestEnd } | { notArrived: unknown }

/**
 * A QEMU that waits for the guest (`undefined` where something else is wanted by now), or what else there is to it;
 * `waiting` says what for.
 */
export async function arrive(
  move: moves.IncomingState,
  incoming: IncomingRequest | undefined,
  starter: Pick<Starter, 'run'>,
  options: Omit<StartOptions, 'signal'>,
): Promise<{ machine: Machine | undefined } | { waiting: string | undefined } | NotHere> {
  if (move.step === 'failed') return { waiting: undefined }
  if (moves.mayHaveRun(move)) return { end: LOST_ARRIVAL }
  if (move.step !== 'preparing')
    return { notArrived: new MigrationFailed('internal', 'QEMU ended before the guest had arrived') }
  if (!incoming) return { waiting: 'waiting to be told again of the guest that is to come' }
  try {
    return { machine: await starter.run((signal) => receiveGuest(incoming, { ...options, signal })) }
  } catch (error) {
    return { notArrived: error }
  }
}

/** What it means for the guest that its QEMU is gone. */
export async function outcomeOf(
  machine: Machine,
  record: GuestRecord,
  files: GuestFiles,
): Promise<NotHere | { handedOver: true }> {
  const { migration } = record.state
  if (moves.isHandedOver(migration)) return { handedOver: true }
  if (!moves.isArriving(migration) || moves.mayHaveRun(migration))
    return { end: await endOfMachine(machine, files) }
  return { notArrived: new MigrationFailed('internal', await causeOfDeath(machine.process, files)) }
}
