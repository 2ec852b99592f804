import { hasReason } from '../../lib/errors.ts'
import { configurationOf } from '../../kinds/configuration.ts'
import type { Vmi, Vmim } from '../../kinds/kubevirt.ts'
import { keyOf } from '../../kinds/meta.ts'
import type { Condition } from '../../kinds/meta.ts'
import { isMigrationOver } from '../../kinds/migration.ts'
import type { MigrationPhase } from '../../kinds/migration.ts'
import { VMIMS, VMIS } from '../../kinds/table.ts'
import { placementOf } from '../vmi/placed.ts'
import { begin } from './begin.ts'
import type { MigrationContext } from './context.ts'
import { drive } from './drive.ts'
import type { GivingUp } from './drive.ts'
import { flightOf } from './flight.ts'
import { sinceMs, standingOf } from './phases.ts'
import { migrationSettings } from './settings.ts'
import { mark, release, writeStanding } from './tend.ts'
import type { Busy, Waiting } from './turns.ts'

/** Milliseconds in which a target has to be found. Source: KubeVirt's limit for targets that cannot be scheduled. */
const UNSCHEDULABLE_MS = 300_000
/** Milliseconds in which the target has to be ready and the source has to begin. */
const PREPARING_MS = 900_000
/** Milliseconds between attempts to find a target. */
const RETRY_MS = 10_000
/** Finished migrations that are kept for each VMI. Source: contract 7.6. */
const KEPT = 5
/** Phases of migrations that have had their turn and are not over. */
const BUSY: readonly unknown[] = [
  'Scheduling',
  'Scheduled',
  'PreparingTarget',
  'TargetReady',
  'Running',
] satisfies MigrationPhase[]

/** What migrations are looked up by: the VMI they are for, as `namespace/name`. */
export const vmimIndexes = {
  vmi: ({ metadata, spec }: Vmim): string[] => [
    keyOf({ namespace: metadata.namespace, name: spec.vmiName ?? '' }),
  ],
}

/** Whether a migration has had its turn and is not over. */
export function isBusy(vmim: Vmim): boolean {
  return BUSY.includes(vmim.status?.phase)
}

/** One pass over the migrations of one VMI: drives the one under way, then writes where each of them stands. */
export async function reconcileMigrations(
  context: MigrationContext,
  namespace: string,
  name: string,
): Promise<void> {
  const cached = context.vmis.get(namespace, name)
  const vmims = context.vmims.by('vmi', keyOf({ namespace, name }))
  let vmi = cached && (await driveFlight(context, cached, vmims))
  const unfinished = vmims.filter(({ status }) => !isMigrationOver(status?.phase))
  if (!vmi && unfinished.length > 0) vmi = await context.store.get(VMIS, namespace, name)
  for (const vmim of unfinished) vmi = await tend(context, vmim, vmi, vmims)
  for (const vmim of vmims) await release(context, vmim)
  await cleanUp(context, vmims)
}

async function driveFlight(context: MigrationContext, vmi: Vmi, vmims: readonly Vmim[]): Promise<Vmi> {
  const flight = flightOf(context, vmi)
  if (!flight) return vmi
  const vmim = vmims.find(({ metadata }) => metadata.uid === flight.ref.migrationUid)
  return drive(context, flight, await whyGiveUp(context, vmi, vmim))
}

async function whyGiveUp(
  { again, clock, store }: MigrationContext,
  vmi: Vmi,
  vmim: Vmim | undefined,
): Promise<GivingUp | undefined> {
  if (vmi.metadata.deletionTimestamp !== undefined) {
    return { reason: 'aborted: the VMI is being deleted', isAsked: true }
  }
  if (!vmim || vmim.metadata.deletionTimestamp !== undefined) {
    return { reason: 'aborted: the migration was deleted', isAsked: true }
  }
  if (isMigrationOver(vmim.status?.phase)) {
    // The cache may be behind with one of the two.
    const live = await store.get(VMIMS, vmim.metadata.namespace, vmim.metadata.name)
    if (isMigrationOver(live?.status?.phase))
      return { reason: 'aborted: the migration is over', isAsked: true }
  }
  if (vmi.status?.migrationState?.startTimestamp !== undefined) return undefined
  const leftMs = sinceMs(vmim, 'PreparingTarget') + PREPARING_MS - clock.now()
  if (leftMs <= 0) return { reason: 'timeout: the two nodes were not ready in time', isAsked: false }
  again(leftMs)
  return undefined
}

/** Brings one migration forward, as far as that is possible now; returns the VMI as it is stored then. */
async function tend(
  context: MigrationContext,
  cached: Vmim,
  vmi: Vmi | undefined,
  all: readonly Vmim[],
): Promise<Vmi | undefined> {
  const vmim = await mark(context, cached)
  const standing = standingOf(vmim, vmi, all)
  const { phase } = standing
  if (!vmi || (phase !== 'Pending' && phase !== 'Scheduling')) {
    await writeStanding(context, vmim, vmi, standing)
    return vmi
  }
  const blocks = blocksOf(vmi)
  const hasTurn = phase === 'Scheduling' || (blocks.length === 0 && isItsTurn(context, vmim, vmi))
  const reached = hasTurn ? 'Scheduling' : 'Pending'
  const stored = await writeStanding(context, vmim, vmi, { phase: reached }, hasTurn ? [] : blocks)
  return hasTurn ? tryToBegin(context, stored, vmi) : vmi
}

async function tryToBegin(context: MigrationContext, vmim: Vmim, vmi: Vmi): Promise<Vmi> {
  const beginning = await begin(context, vmi, vmim)
  if ('vmi' in beginning) {
    await writeStanding(context, vmim, beginning.vmi, standingOf(vmim, beginning.vmi, []))
    return beginning.vmi
  }
  if ('failure' in beginning) {
    await writeStanding(context, vmim, vmi, { phase: 'Failed', failure: beginning.failure })
    return vmi
  }
  context.events.record(vmim, 'Warning', 'FailedScheduling', beginning.waits)
  const leftMs = sinceMs(vmim, 'Scheduling') + UNSCHEDULABLE_MS - context.clock.now()
  if (leftMs > 0) context.again(Math.min(leftMs, RETRY_MS))
  else {
    const failure = `timeout: no node took the guest: ${beginning.waits}`
    await writeStanding(context, vmim, vmi, { phase: 'Failed', failure })
  }
  return vmi
}

/** What the guest has to finish before it can be moved. Source: contract 7.6. */
function blocksOf({ spec, status }: Vmi): Condition[] {
  const backup = status?.changedBlockTracking?.backupStatus
  const isBackedUp = backup !== undefined && backup.completed !== true && backup.endTimestamp === undefined
  const hasUtilityVolumes = (spec.utilityVolumes ?? []).length > 0
  return [
    ...(isBackedUp ? [block('migrationBlockedByBackup', 'a backup of the guest is running')] : []),
    ...(hasUtilityVolumes
      ? [block('migrationBlockedByUtilityVolumes', 'the guest has utility volumes attached')]
      : []),
  ]
}

function block(type: string, message: string): Condition {
  return { type, status: 'True', reason: 'MigrationBlocked', message }
}

/** Whether the migration may begin: the guest runs, is not being moved, and the limits leave room. */
function isItsTurn(context: MigrationContext, vmim: Vmim, vmi: Vmi): boolean {
  if (!mayWait(vmim, vmi)) return false
  const { vmims, turns, kubeVirts } = context
  const settings = migrationSettings(configurationOf(kubeVirts.list()))
  const waiting: Waiting[] = []
  const busy: Busy[] = []
  for (const one of vmims.list()) {
    const { uid, namespace, creationTimestamp } = one.metadata
    const guest = context.vmis.get(namespace, one.spec.vmiName ?? '')
    const sourceNode = guest?.status?.migrationState?.sourceNode ?? (guest && placementOf(guest)) ?? ''
    if (isBusy(one)) busy.push({ uid, sourceNode })
    else if (guest && mayWait(one, guest)) {
      const { priority } = one.spec
      waiting.push({ uid, sourceNode: placementOf(guest) ?? '', priority, since: creationTimestamp })
    }
  }
  return turns.take(vmim.metadata.uid, waiting, busy, {
    perCluster: settings.parallelMigrationsPerCluster,
    outboundPerNode: settings.parallelOutboundMigrationsPerNode,
  })
}

/** Whether the migration may have its turn as far as its guest is concerned. */
function mayWait({ metadata, status }: Vmim, vmi: Vmi): boolean {
  const isPending = !status?.phase || status.phase === 'Pending'
  if (!isPending || metadata.deletionTimestamp !== undefined) return false
  const state = vmi.status?.migrationState
  const isFree = !state?.migrationUid || state.completed === true
  return vmi.status?.phase === 'Running' && vmi.metadata.deletionTimestamp === undefined && isFree
}

/** Deletes what is over, but for the newest. */
async function cleanUp({ store }: MigrationContext, vmims: readonly Vmim[]): Promise<void> {
  const over = vmims.filter(({ status, metadata }) => {
    return isMigrationOver(status?.phase) && metadata.deletionTimestamp === undefined
  })
  const newest = over.toSorted((left, right) => sinceMs(right, 'Pending') - sinceMs(left, 'Pending'))
  for (const { metadata } of newest.slice(KEPT)) {
    const { namespace, name, uid } = metadata
    try {
      await store.delete(VMIMS, namespace, name, { preconditions: { uid } })
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error
    }
  }
}
