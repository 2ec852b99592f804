import { isSameJson } from '../../lib/json.ts'
import type { Vmi, Vmim } from '../../kinds/kubevirt.ts'
import type { Condition } from '../../kinds/meta.ts'
import { isMigrationOver, MIGRATION_FINALIZER, VMI_NAME_LABEL } from '../../kinds/migration.ts'
import type { VmimStatus } from '../../kinds/migration.ts'
import { VMIMS } from '../../kinds/table.ts'
import { withCondition, withoutCondition } from '../conditions.ts'
import type { MigrationContext } from './context.ts'
import { advance } from './phases.ts'
import type { Standing } from './phases.ts'
import { nowOf } from './write.ts'

/** Sees to it that the object bears what it is found and kept by. */
export async function mark({ store }: MigrationContext, vmim: Vmim): Promise<Vmim> {
  const { metadata, spec, status } = vmim
  const { labels, finalizers = [], deletionTimestamp } = metadata
  const isKept = isMigrationOver(status?.phase) || deletionTimestamp !== undefined
  const vmiName = spec.vmiName ?? ''
  if (isKept || (labels?.[VMI_NAME_LABEL] !== undefined && finalizers.includes(MIGRATION_FINALIZER)))
    return vmim
  return store.update(VMIMS, {
    ...vmim,
    metadata: {
      ...metadata,
      labels: { ...labels, [VMI_NAME_LABEL]: vmiName },
      finalizers: [...new Set([...finalizers, MIGRATION_FINALIZER])],
    },
  })
}

/** Writes where the migration stands; returns it as stored. */
export async function writeStanding(
  context: MigrationContext,
  vmim: Vmim,
  vmi: Vmi | undefined,
  { phase, failure }: Standing,
  blocks: readonly Condition[] = [],
): Promise<Vmim> {
  const before: VmimStatus = vmim.status ?? {}
  if (isMigrationOver(before.phase)) return vmim
  const now = nowOf(context)
  const moved = advance(before, phase, now)
  const conditions = conditionsOf(vmim, moved, blocks, now)
  const state = finalState(vmim, vmi, { phase, ...(failure !== undefined && { failure }) }, now)
  const status: VmimStatus = {
    ...moved,
    ...((conditions.length > 0 || before.conditions) && { conditions: [...conditions] }),
    ...(isMigrationOver(phase) && { migrationState: state }),
  }
  if (isSameJson(status, before)) return vmim
  const stored = await context.store.update(VMIMS, { ...vmim, status }, { subresource: 'status' })
  if (isMigrationOver(phase)) announce(context, stored, failure)
  return stored
}

const BLOCKS = ['migrationBlockedByBackup', 'migrationBlockedByUtilityVolumes']

function conditionsOf(
  { metadata }: Vmim,
  { phase, conditions = [] }: VmimStatus,
  blocks: readonly Condition[],
  now: string,
): readonly Condition[] {
  const gone = BLOCKS.filter((type) => !blocks.some((block) => block.type === type))
  const kept = gone.reduce<readonly Condition[]>((list, type) => withoutCondition(list, type), conditions)
  const blocked = blocks.reduce((list, block) => withCondition(list, block, now), kept)
  if (metadata.deletionTimestamp === undefined || phase === 'Succeeded') return blocked
  const abort: Condition = {
    type: 'migrationAbortRequested',
    status: 'True',
    reason: 'MigrationDeleted',
    message: 'the migration was deleted before it was over',
  }
  return withCondition(blocked, abort, now)
}

/** The VMI's state of this migration; a migration that never got that far has at least its reason. */
function finalState(
  { metadata }: Vmim,
  vmi: Vmi | undefined,
  { failure }: Standing,
  now: string,
): NonNullable<VmimStatus['migrationState']> {
  const state = vmi?.status?.migrationState
  if (state?.migrationUid === metadata.uid) return state
  const failureReason = failure ?? ''
  return { migrationUid: metadata.uid, completed: true, failed: true, failureReason, endTimestamp: now }
}

function announce({ events }: MigrationContext, vmim: Vmim, failure: string | undefined): void {
  if (vmim.status?.phase === 'Succeeded') {
    events.record(vmim, 'Normal', 'SuccessfulMigration', 'The guest runs on its new node.')
  } else {
    events.record(vmim, 'Warning', 'FailedMigration', `The migration has failed: ${failure ?? 'unknown'}`)
  }
}

/** Lets go of a migration that is over: the API may delete it. */
export async function release({ store }: MigrationContext, vmim: Vmim): Promise<void> {
  const { metadata, status } = vmim
  if (!isMigrationOver(status?.phase) || !metadata.finalizers?.includes(MIGRATION_FINALIZER)) return
  const finalizers = metadata.finalizers.filter((name) => name !== MIGRATION_FINALIZER)
  await store.update(VMIMS, { ...vmim, metadata: { ...metadata, finalizers } })
}
