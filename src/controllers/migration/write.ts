import { formatTime } from '../../lib/clock.ts'
import { isSameJson } from '../../lib/json.ts'
import type { Vmi } from '../../kinds/kubevirt.ts'
import type { MigrationState } from '../../kinds/migration.ts'
import type { MigrationReport } from '../../rpc/actions.ts'
import { writeVmi } from '../vmi/write.ts'
import type { MigrationContext } from './context.ts'
import type { Flight } from './flight.ts'
import { failed, handedOver, withState } from './state.ts'
import type { MigrationFailure } from './state.ts'

/** The time of this pass, as it is written into objects. */
export function nowOf({ clock }: Pick<MigrationContext, 'clock'>): string {
  return formatTime(clock.now())
}

/** Writes down what of `migrationState` differs. */
export async function note(context: MigrationContext, vmi: Vmi, change: MigrationState): Promise<Vmi> {
  const next = withState(vmi, change)
  return isSameJson(next.status?.migrationState, vmi.status?.migrationState)
    ? vmi
    : writeVmi(context, vmi, next)
}

/** Gives the guest to the target, where it runs. What is left at the source is a stray from now on. */
export async function handOver(
  context: MigrationContext,
  { vmi, ref, source, target }: Flight,
  report: MigrationReport,
): Promise<Vmi> {
  const mode = source.migration?.mode ?? report.mode
  const ended = handedOver(vmi, { ...report, ...(mode && { mode }) }, nowOf(context))
  const stored = await writeVmi(context, vmi, ended)
  forget(context, ref.migrationUid)
  context.log.info(
    { vmi: ref.guest, migration: ref.migrationUid, from: source.nodeName, to: target.nodeName },
    'a guest has moved',
  )
  context.events.record(stored, 'Normal', 'Migrated', `The guest has moved to node ${target.nodeName}.`)
  return stored
}

/** Ends the migration; the guest stays at the source. What is left at the target is a stray from now on. */
export async function endFailed(
  context: MigrationContext,
  { vmi, ref, source }: Pick<Flight, 'vmi' | 'ref' | 'source'>,
  failure: MigrationFailure,
): Promise<Vmi> {
  const stored = await writeVmi(context, vmi, failed(vmi, failure, nowOf(context)))
  forget(context, ref.migrationUid)
  const { reason } = failure
  context.log.warn(
    { vmi: ref.guest, migration: ref.migrationUid, node: source.nodeName, reason },
    'a migration has failed',
  )
  context.events.record(stored, 'Warning', 'MigrationFailed', `The guest was not moved: ${reason}`)
  return stored
}

function forget({ desk, memory }: MigrationContext, migrationUid: string): void {
  desk.forget(migrationUid)
  memory.unchoose(migrationUid)
}
