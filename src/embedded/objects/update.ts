import { refusedKind, type Kind } from '../../kinds/kind.ts'
import type { ObjectMeta } from '../../kinds/meta.ts'
import { invalidValue } from '../../lib/causes.ts'
import { conflict, invalid, noSuchPath, type StatusError } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import { checkDns1123Subdomain } from '../../lib/names.ts'
import type { ObjectRow } from '../../store/sqlite/rows.ts'
import type { WriteContext } from '../api.ts'
import type { AnyObject, RegistryParts, Target } from '../parts.ts'
import { strategyOf } from '../strategies/index.ts'
import { checkFields } from './fields.ts'
import { checkNameOnUrl, checkNamespace, readBody } from './identity.ts'
import { carryMetadata, checkMetadata, checkMetadataUpdate, isSameIntent, readMetadata } from './metadata.ts'
import { keyOfTarget, parseObject, requireRow } from './rows.ts'

/** Times a change without a version is made again on what somebody else has just written. */
const RACE_TRIES = 5

const STALE = 'the object has been modified; please apply your changes to the latest version and try again'

/** Somebody else was faster between the read and the write. */
class LostRace extends Error {
  constructor() {
    super('the object was changed between read and write')
    this.name = 'LostRace'
  }
}

/** Replaces an object by what a client sent. */
export async function updateObject(
  parts: RegistryParts,
  target: Target,
  body: unknown,
  context: WriteContext,
): Promise<AnyObject> {
  const { kind, namespace, name } = target
  const object = checkFields(parts.shapes, kind, readBody(kind, body), context)
  const metadata = readMetadata(object.metadata)
  checkNameOnUrl(name, metadata.name)
  checkNamespace(kind, namespace, metadata.namespace)
  if (!metadata.resourceVersion && !kind.builtIn) {
    throw invalid(refusedKind(kind), name, [
      invalidValue('metadata.resourceVersion', 'Invalid value: 0x0: must be specified for an update'),
    ])
  }
  return changeObject(parts, target, context, () => ({ ...object, metadata }))
}

/**
 * Makes of an object what `change` says, in as many tries as it takes to do it on its newest version.
 *
 * A result that carries another version than the present one is refused with 409.
 */
export async function changeObject(
  parts: RegistryParts,
  target: Target,
  context: WriteContext,
  change: (current: AnyObject) => AnyObject,
): Promise<AnyObject> {
  const { kind, name } = target
  if (context.subresource === 'status' && !kind.hasStatus) throw noSuchPath()
  for (let attempt = 1; ; attempt++) {
    const row = requireRow(parts.database.get(keyOfTarget(target)), kind, name)
    const desired = change(parseObject(row))
    checkVersion(kind, parseObject(row).metadata, desired.metadata)
    const settled = await settle(parts, target, parseObject(row), desired, context)
    try {
      return await store(parts, target, row, settled, context.dryRun ?? false)
    } catch (error) {
      if (!(error instanceof LostRace)) throw error
      if (attempt === RACE_TRIES) throw staleVersion(kind, name)
    }
  }
}

function staleVersion(kind: Kind, name: string): StatusError {
  return conflict(refusedKind(kind), name, STALE)
}

function checkVersion(kind: Kind, current: ObjectMeta, { uid, resourceVersion }: ObjectMeta): void {
  if (uid && uid !== current.uid) {
    throw conflict(
      refusedKind(kind),
      current.name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.uid}`,
    )
  }
  if (resourceVersion && resourceVersion !== current.resourceVersion) throw staleVersion(kind, current.name)
}

/** What is to be stored: the part the client may change here from `desired`, completed and checked. */
async function settle(
  parts: RegistryParts,
  { kind, namespace, name }: Target,
  current: AnyObject,
  desired: AnyObject,
  context: WriteContext,
): Promise<AnyObject> {
  const strategy = strategyOf(kind)
  const merged = mergeParts(kind, current, desired, context.subresource)
  strategy.prepareUpdate?.(merged, current)
  const { object: admitted, warnings } = await parts.admission.review({
    operation: 'UPDATE',
    kind,
    namespace,
    name,
    object: merged,
    old: current,
    user: context.user,
    ...(context.subresource && { subresource: context.subresource }),
    dryRun: context.dryRun ?? false,
  })
  const object = admitted as AnyObject
  const causes = [
    ...(context.subresource ? [] : checkMetadataUpdate(current.metadata, desired.metadata)),
    ...checkMetadata(object.metadata, strategy.checkName ?? checkDns1123Subdomain),
    ...(strategy.check?.(object, current) ?? []),
  ]
  if (causes.length > 0) throw invalid(refusedKind(kind), name, causes)
  if (current.metadata.generation !== undefined && !isSameIntent(object, current)) {
    object.metadata.generation = current.metadata.generation + 1
  }
  context.warnings.push(...warnings)
  return object
}

function mergeParts(
  kind: Kind,
  current: AnyObject,
  desired: AnyObject,
  subresource: 'status' | undefined,
): AnyObject {
  if (subresource === 'status') return mergeStatus(kind, current, desired)
  const metadata = carryMetadata(current.metadata, desired.metadata)
  const merged = { ...structuredClone(desired), metadata }
  return kind.hasStatus ? withStatus(merged, current.status) : merged
}

/**
 * Kubernetes' own kinds take labels and annotations with a status, custom ones the status alone.
 * Source: the status strategies in `pkg/registry` of Kubernetes, and of CustomResourceDefinitions.
 */
function mergeStatus(kind: Kind, current: AnyObject, desired: AnyObject): AnyObject {
  const merged = structuredClone(current)
  if (kind.builtIn) {
    const { labels, annotations } = desired.metadata
    const { labels: _labels, annotations: _annotations, ...metadata } = merged.metadata
    merged.metadata = { ...metadata, ...(labels && { labels }), ...(annotations && { annotations }) }
  }
  return withStatus(merged, desired.status)
}

function withStatus(object: AnyObject, status: unknown): AnyObject {
  if (status === undefined || status === null) delete object.status
  else object.status = structuredClone(status)
  return object
}

/** Whether nothing holds the object back any longer from being deleted. */
function isReleased({ metadata }: AnyObject): boolean {
  return metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0
}

async function store(
  parts: RegistryParts,
  target: Target,
  row: ObjectRow,
  object: AnyObject,
  dryRun: boolean,
): Promise<AnyObject> {
  const current = parseObject(row)
  const isReleasedNow = isReleased(object) && !isHeldByStrategy(target.kind, object)
  if (!isReleasedNow && isSameJson(object, current)) return current
  if (dryRun) return object
  return parts.database.write((transaction) => {
    const key = keyOfTarget(target)
    const present = requireRow(transaction.get(key), target.kind, target.name)
    if (present.revision !== row.revision) throw new LostRace()
    if (!isReleasedNow) return transaction.put(key.kind, object)
    transaction.remove(key)
    return object
  })
}

function isHeldByStrategy(kind: Kind, object: AnyObject): boolean {
  return strategyOf(kind).holdDelete?.(structuredClone(object)) ?? false
}
