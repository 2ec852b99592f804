import type { ObjectMeta } from '../../kinds/meta.ts'
import { addAll, forbiddenValue, invalidValue, requiredValue } from '../../lib/causes.ts'
import { badRequest, type Cause } from '../../lib/errors.ts'
import { FieldPath } from '../../lib/field-path.ts'
import { isRecord, isSameJson } from '../../lib/json.ts'
import { checkLabelValue, checkQualifiedName, type NameCheck } from '../../lib/names.ts'

const AT = new FieldPath('metadata')
const ANNOTATIONS_LIMIT = 256 * 1024

type Shape = 'text' | 'number' | 'texts' | 'map' | 'list'
const SHAPES: Record<string, Shape> = {
  name: 'text',
  generateName: 'text',
  namespace: 'text',
  selfLink: 'text',
  uid: 'text',
  resourceVersion: 'text',
  generation: 'number',
  creationTimestamp: 'text',
  deletionTimestamp: 'text',
  deletionGracePeriodSeconds: 'number',
  labels: 'map',
  annotations: 'map',
  ownerReferences: 'list',
  finalizers: 'texts',
  managedFields: 'list',
}
/** What the server keeps by itself; what a client says about them is dropped. */
const NOT_KEPT = new Set(['selfLink', 'managedFields'])

const isTextMap = (value: unknown) =>
  isRecord(value) && Object.values(value).every((text) => typeof text === 'string')
const CHECKS: Record<Shape, { holds: (value: unknown) => boolean; words: string }> = {
  text: { holds: (value) => typeof value === 'string', words: 'a string' },
  number: { holds: (value) => Number.isSafeInteger(value), words: 'a whole number' },
  texts: {
    holds: (value) => Array.isArray(value) && value.every((text) => typeof text === 'string'),
    words: 'a list of strings',
  },
  map: { holds: isTextMap, words: 'an object whose values are strings' },
  list: { holds: (value) => Array.isArray(value) && value.every(isRecord), words: 'a list of objects' },
}

/** Fields under `metadata` that nobody knows. */
export function unknownMetadataFields(metadata: unknown): string[] {
  if (!isRecord(metadata)) return []
  return Object.keys(metadata)
    .filter((name) => !Object.hasOwn(SHAPES, name))
    .map((name) => `metadata.${name}`)
}

/**
 * Metadata as it came from a client, without what is empty, null, unknown or not kept.
 *
 * Throws 400 where a field has the wrong type.
 */
export function readMetadata(metadata: unknown): ObjectMeta {
  if (metadata !== undefined && metadata !== null && !isRecord(metadata))
    throw badRequest('metadata must be an object')
  const read: Record<string, unknown> = {}
  for (const [name, shape] of Object.entries(SHAPES)) {
    const value = metadata?.[name]
    if (value === undefined || value === null || value === '' || NOT_KEPT.has(name)) continue
    const { holds, words } = CHECKS[shape]
    if (!holds(value)) throw badRequest(`metadata.${name} must be ${words}, found ${JSON.stringify(value)}`)
    if (typeof value === 'object' && Object.keys(value).length === 0) continue
    read[name] = value
  }
  // Every field has the type that ObjectMeta says; those that may be missing are filled in by the callers.
  return read as unknown as ObjectMeta
}

/** What is wrong with metadata by itself. */
export function checkMetadata(metadata: ObjectMeta, checkName: NameCheck): Cause[] {
  const causes: Cause[] = []
  addAll(causes, checkNames(metadata, checkName))
  addAll(causes, checkLabels(metadata.labels))
  addAll(causes, checkAnnotations(metadata.annotations))
  for (const [position, finalizer] of (metadata.finalizers ?? []).entries()) {
    const at = AT.child('finalizers').index(position)
    for (const problem of checkQualifiedName(finalizer))
      causes.push(invalidValue(at, `Invalid value: "${finalizer}": ${problem}`))
  }
  addAll(causes, checkOwners(metadata))
  return causes
}

function checkNames({ name }: ObjectMeta, checkName: NameCheck): Cause[] {
  const causes: Cause[] = []
  for (const problem of checkName(name))
    causes.push(invalidValue(AT.child('name'), `Invalid value: "${name}": ${problem}`))
  return causes
}

function checkLabels(labels: Record<string, string> = {}): Cause[] {
  const at = AT.child('labels')
  const causes: Cause[] = []
  for (const [key, value] of Object.entries(labels)) {
    for (const problem of checkQualifiedName(key))
      causes.push(invalidValue(at, `Invalid value: "${key}": ${problem}`))
    for (const problem of checkLabelValue(value))
      causes.push(invalidValue(at, `Invalid value: "${value}": ${problem}`))
  }
  return causes
}

function checkAnnotations(annotations: Record<string, string> = {}): Cause[] {
  const at = AT.child('annotations')
  let size = 0
  const causes: Cause[] = []
  for (const [key, value] of Object.entries(annotations)) {
    size += Buffer.byteLength(key) + Buffer.byteLength(value)
    for (const problem of checkQualifiedName(key.toLowerCase())) {
      causes.push(invalidValue(at, `Invalid value: "${key}": ${problem}`))
    }
  }
  if (size > ANNOTATIONS_LIMIT) {
    causes.push({
      reason: 'FieldValueTooLong',
      field: String(at),
      message: `Too long: may not be more than ${ANNOTATIONS_LIMIT} bytes`,
    })
  }
  return causes
}

function checkOwners({ ownerReferences = [] }: ObjectMeta): Cause[] {
  const at = AT.child('ownerReferences')
  const causes: Cause[] = []
  for (const [position, owner] of ownerReferences.entries()) {
    for (const field of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if (!owner[field])
        causes.push(requiredValue(at.index(position).child(field), 'Required value: must not be empty'))
    }
  }
  if (ownerReferences.filter((owner) => owner.controller).length > 1) {
    causes.push(invalidValue(at, 'Invalid value: only one reference can have Controller set to true'))
  }
  return causes
}

/**
 * Metadata after an update: what the client may change from `desired`, the rest as it stood.
 *
 * Source: `rest.BeforeUpdate` of k8s.io/apiserver.
 */
export function carryMetadata(current: ObjectMeta, desired: ObjectMeta): ObjectMeta {
  const { name, namespace, uid, resourceVersion, creationTimestamp, generation } = current
  const { deletionTimestamp, deletionGracePeriodSeconds, generateName } = current
  const kept = { namespace, uid, generation, deletionTimestamp, deletionGracePeriodSeconds, generateName }
  const { labels, annotations, ownerReferences, finalizers } = desired
  const changed = { labels, annotations, ownerReferences, finalizers }
  const given = Object.entries({ ...kept, ...changed }).filter(([, value]) => value !== undefined)
  return { name, uid, resourceVersion, creationTimestamp, ...Object.fromEntries(given) }
}

/** What an update must not change. */
export function checkMetadataUpdate(current: ObjectMeta, desired: ObjectMeta): Cause[] {
  const causes: Cause[] = []
  for (const field of [
    'name',
    'namespace',
    'uid',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
  ] as const) {
    const value = desired[field]
    if (value === undefined || value === current[field]) continue
    // What is being deleted stays so; what a client says about when is ignored, as Kubernetes does.
    if (field === 'deletionTimestamp' && current.deletionTimestamp) continue
    causes.push(invalidValue(AT.child(field), `Invalid value: ${JSON.stringify(value)}: field is immutable`))
  }
  if (!current.deletionTimestamp) return causes
  const added = (desired.finalizers ?? []).filter((finalizer) => !current.finalizers?.includes(finalizer))
  if (added.length > 0) {
    causes.push(
      forbiddenValue(
        AT.child('finalizers'),
        `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`,
      ),
    )
  }
  return causes
}

/** Whether two objects differ outside of `metadata` and `status`: in what is wanted. */
export function isSameIntent(left: Record<string, unknown>, right: Record<string, unknown>): boolean {
  const intent = ({ metadata: _metadata, status: _status, ...rest }: Record<string, unknown>) => rest
  return isSameJson(intent(left), intent(right))
}
