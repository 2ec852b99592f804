import { setImmediate } from 'node:timers/promises'
import { refusedKind, type Kind } from '../../kinds/kind.ts'
import type { ObjectMeta } from '../../kinds/meta.ts'
import { timestamp } from '../../lib/clock.ts'
import { badRequest, conflict, forbidden } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import type { Transaction } from '../../store/sqlite/rows.ts'
import type { DeleteOptions, Selection } from '../../store/store.ts'
import type { ListPage } from '../api.ts'
import type { AnyObject, RegistryParts, Target } from '../parts.ts'
import { strategyOf } from '../strategies/index.ts'
import { listObjects, STRIDE } from './list.ts'
import { keyOfTarget, parseObject, requireRow } from './rows.ts'

/** Holds an owner until its dependents are gone. */
export const FOREGROUND_FINALIZER = 'foregroundDeletion'
/** Holds an owner until its dependents no longer name it. */
export const ORPHAN_FINALIZER = 'orphan'

/** What became of an object: gone, or waiting for its finalizers. */
export interface Deletion {
  object: AnyObject
  removed: boolean
}

/** Marks an object for deletion, or removes it at once where nothing holds it. */
export async function deleteObject(
  parts: RegistryParts,
  target: Target,
  options: DeleteOptions,
  dryRun: boolean,
): Promise<Deletion> {
  const { kind, name } = target
  const refusal = strategyOf(kind).refuseDelete?.(name)
  if (refusal) throw forbidden(refusedKind(kind), name, refusal)
  const now = timestamp(parts.clock)
  if (dryRun || options.dryRun) return plan(parts.database, target, options, now)
  return parts.database.write((transaction) => {
    const deletion = plan(transaction, target, options, now)
    const key = keyOfTarget(target)
    if (deletion.removed) transaction.remove(key)
    else if (!isSameJson(deletion.object, parseObject(requireRow(transaction.get(key), kind, name)))) {
      transaction.put(key.kind, deletion.object)
    }
    return deletion
  })
}

function plan(rows: Pick<Transaction, 'get'>, target: Target, options: DeleteOptions, now: string): Deletion {
  const { kind, name } = target
  const object = parseObject(requireRow(rows.get(keyOfTarget(target)), kind, name))
  checkPreconditions(kind, object.metadata, options)
  const stood = structuredClone(object)
  const finalizers = finalizersFor(object.metadata, options.propagationPolicy)
  if (finalizers.length > 0) object.metadata.finalizers = finalizers
  else delete object.metadata.finalizers
  const isHeld = strategyOf(kind).holdDelete?.(object) ?? false
  if (!isHeld && finalizers.length === 0) return { object: stood, removed: true }
  markAsDeleting(object.metadata, now)
  return { object, removed: false }
}

function checkPreconditions(kind: Kind, metadata: ObjectMeta, { preconditions = {} }: DeleteOptions): void {
  const { uid, resourceVersion } = preconditions
  const refuse = (word: string, wanted: string, found: string) =>
    conflict(
      refusedKind(kind),
      metadata.name,
      `Precondition failed: ${word} in precondition: ${wanted}, ${word} in object meta: ${found}`,
    )
  if (uid && uid !== metadata.uid) throw refuse('UID', uid, metadata.uid)
  if (resourceVersion && resourceVersion !== metadata.resourceVersion) {
    throw refuse('ResourceVersion', resourceVersion, metadata.resourceVersion)
  }
}

function finalizersFor(metadata: ObjectMeta, policy: DeleteOptions['propagationPolicy']): string[] {
  const present = metadata.finalizers ?? []
  if (policy === undefined) return present
  const others = present.filter(
    (finalizer) => finalizer !== FOREGROUND_FINALIZER && finalizer !== ORPHAN_FINALIZER,
  )
  switch (policy) {
    case 'Background':
      return others
    case 'Foreground':
      return [...others, FOREGROUND_FINALIZER]
    case 'Orphan':
      return [...others, ORPHAN_FINALIZER]
    default:
      throw badRequest(
        `invalid propagationPolicy ${JSON.stringify(policy)}: use Background, Foreground or Orphan`,
      )
  }
}

function markAsDeleting(metadata: ObjectMeta, now: string): void {
  if (metadata.deletionTimestamp) return
  metadata.deletionTimestamp = now
  metadata.deletionGracePeriodSeconds = 0
  if (metadata.generation !== undefined) metadata.generation++
}

/** Deletes what a selection picks, one by one; answers what was there. Others go on between the pieces of it. */
export async function deleteObjects(
  parts: RegistryParts,
  kind: Kind,
  selection: Selection,
  options: DeleteOptions,
  dryRun: boolean,
): Promise<ListPage> {
  const { items, resourceVersion } = await listObjects(parts.database, kind, selection)
  const deleted: AnyObject[] = []
  for (let at = 0; at < items.length; at += STRIDE) {
    const deletions = items
      .slice(at, at + STRIDE)
      .map(({ metadata }) => deleteListed(parts, kind, metadata, options, dryRun))
    deleted.push(...(await Promise.all(deletions)).filter((object) => object !== undefined))
    await setImmediate()
  }
  return { items: deleted, resourceVersion }
}

/** `undefined` where somebody else has deleted it meanwhile, though there may be another one of its name. */
async function deleteListed(
  parts: RegistryParts,
  kind: Kind,
  { namespace = '', name, uid }: ObjectMeta,
  options: DeleteOptions,
  dryRun: boolean,
): Promise<AnyObject | undefined> {
  const target = { kind, namespace, name }
  const preconditions = { uid, ...options.preconditions }
  try {
    return (await deleteObject(parts, target, { ...options, preconditions }, dryRun)).object
  } catch (error) {
    const row = parts.database.get(keyOfTarget(target))
    if (!row || parseObject(row).metadata.uid !== uid) return undefined
    throw error
  }
}
