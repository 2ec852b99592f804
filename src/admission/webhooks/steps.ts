/** What is looked at before the rules: the resource, the shape, the types. Contract: admission-overview.md, section 4. */
import type { KubeObject } from '../../kinds/meta.ts'
import { badRequest, StatusError } from '../../lib/errors.ts'
import { isRecord, type JsonRecord } from '../../lib/json.ts'
import { decode } from '../types/decode.ts'
import { read } from '../types/read.ts'
import { shapeFaults } from '../types/schema.ts'
import { WEBHOOKS, type Webhook } from './paths.ts'

const TOP_MEMBERS: ReadonlySet<string> = new Set(['kind', 'apiVersion', 'spec', 'status', 'metadata'])

/**
 * Throws 400 where a review is of another resource. Step R. Contract: VM-001, SNAP-001, REST-001, BKP-001, BKT-001,
 * EXP-001, CLONE-001, PLG-001, MUT-VM-001, MUT-VMI-001, MUT-MIG-001, MUT-CLN-001.
 */
export function checkResource(webhook: Webhook, resource: unknown): void {
  if (isResource(webhook, resource)) return
  const { group, resource: plural } = isRecord(resource) ? resource : {}
  const { kind } = webhook
  throw badRequest(
    `this webhook reviews ${kind.plural}.${kind.group}, not ${String(plural)}.${String(group)}`,
  )
}

/** Throws 400 where nothing is written. Contract: SNAP-009, REST-019, EXP-017. */
export function checkOperation(operation: unknown): void {
  if (operation !== 'CREATE' && operation !== 'UPDATE') {
    throw badRequest(`this webhook reviews what is created or changed, not ${String(operation)}`)
  }
}

/** Whether a review is of the resource that a webhook is for. Contract: VM-STAT-004. */
export function isResource({ kind, versions }: Webhook, resource: unknown): boolean {
  const { group, version, resource: plural } = isRecord(resource) ? resource : {}
  const isVersion = !versions || versions.some((known) => known === version)
  return group === kind.group && plural === kind.plural && isVersion
}

const STATUS_TYPES = new Map<string, string>(
  WEBHOOKS.flatMap(({ kind, status }) =>
    status && kind.group === 'kubevirt.io' ? [[kind.kind, status] as const] : [],
  ),
)

/** Throws 422 where the status has not the shape of its kind's. Contract: VM-STAT-001 … 003. */
export function checkStatus(object: unknown): void {
  if (!isRecord(object)) throw badRequest('request.object must be an object')
  const { kind, apiVersion = '', status } = object
  const isNamed =
    typeof kind === 'string' && typeof apiVersion === 'string' && apiVersion.split('/').length <= 2
  if (!isNamed) throw refuseShape(['the object does not say what it is: kind and apiVersion'])
  const type = STATUS_TYPES.get(kind)
  if (!type || status === undefined || status === null) return
  const faults = shapeFaults(type, status, 'status', { isOpen: true })
  if (faults.length > 0) throw refuseShape(faults)
}

/**
 * Throws 422 where an object has not the shape of its kind. Step S. Contract: ADM-SCH-001 … 004, VM-002, MUT-VM-002,
 * MUT-VMI-002.
 */
export function checkShape({ kind, spec, status }: Webhook, object: unknown): void {
  if (!isRecord(object)) throw badRequest('request.object must be an object')
  const faults = Object.keys(object)
    .filter((name) => !TOP_MEMBERS.has(name))
    .map((name) => `${name} is no field of a ${kind.kind}: remove it`)
  if (!Object.hasOwn(object, 'spec')) faults.push('spec is required')
  const isTyped = kind.group === 'kubevirt.io'
  if (isTyped && spec) faults.push(...shapeFaults(spec, object.spec ?? null, 'spec', { isOpen: false }))
  if (isTyped && status && object.status !== undefined && object.status !== null) {
    faults.push(...shapeFaults(status, object.status, 'status', { isOpen: true }))
  }
  if (faults.length > 0) throw refuseShape(faults)
}

function refuseShape(faults: readonly string[]): StatusError {
  // Faults of the shape have neither a reason nor a field.
  const causes = faults.map((message) => ({ message, reason: '', field: '' }))
  return new StatusError(422, 'Invalid', faults.join(', '), { causes })
}

/** The object as `decodeObject` has it, where `checkShape` has nothing to say. */
export function readSound(webhook: Webhook, value: unknown): KubeObject | undefined {
  if (!isRecord(value) || !Object.hasOwn(value, 'spec')) return undefined
  for (const name of Object.keys(value)) if (!TOP_MEMBERS.has(name)) return undefined
  return readObject(webhook, value, webhook.kind.group === 'kubevirt.io')
}

/** The object with its parts as their types have them; `undefined` where one is not right, or not certainly. */
function readObject(
  { spec, status }: Webhook,
  value: JsonRecord,
  isChecked: boolean,
): KubeObject | undefined {
  const metadata = read('meta.ObjectMeta', value.metadata ?? {}, false)
  if (!metadata) return undefined
  const parts: JsonRecord = { ...value, metadata }
  if (spec) {
    const found = read(spec, isChecked ? value.spec : (value.spec ?? {}), isChecked)
    if (!found) return undefined
    parts.spec = found
  }
  if (status && value.status !== undefined && value.status !== null) {
    const found = read(status, value.status, isChecked)
    if (!found) return undefined
    parts.status = found
  }
  return toObject(parts)
}

/**
 * The object with its parts as their types have them. Throws 400. Step D. Contract: ADM-DEC-001 … 010, VM-003,
 * VM-STAT-005, SNAP-003, REST-003, BKP-004, EXP-002, CLONE-003, PLG-003, MUT-VM-003, MUT-VMI-003.
 */
export function decodeObject(webhook: Webhook, value: unknown, at: string): KubeObject {
  if (!isRecord(value)) throw badRequest(`request.${at} must be an object`)
  const sound = readObject(webhook, value, false)
  if (sound) return sound
  const { spec, status } = webhook
  const metadata = decode('meta.ObjectMeta', value.metadata ?? {}, 'metadata')
  const object = {
    ...value,
    metadata,
    ...(spec && { spec: decode(spec, value.spec ?? {}, 'spec') }),
    ...(status && isRecord(value.status) && { status: decode(status, value.status, 'status') }),
  }
  return toObject(object)
}

/**
 * The object as it was; `undefined` where it is not looked at, or counts as none. Throws 400 otherwise. Contract:
 * VM-ST-001, POOL-011, SNAP-007, REST-017, EXP-015.
 */
export function decodeOld(webhook: Webhook, value: unknown): KubeObject | undefined {
  if (webhook.old === 'ignored') return undefined
  try {
    return decodeObject(webhook, value, 'oldObject')
  } catch (error) {
    if (webhook.old !== 'tolerated' || !(error instanceof StatusError)) throw error
    return undefined
  }
}

/** An object as the rules take it: metadata and all else are checked by the steps before. */
export function toObject(value: JsonRecord): KubeObject {
  const { metadata } = value
  // Its parts were decoded by their types; a tracker, which is not, is not looked into.
  return { ...value, metadata: isRecord(metadata) ? metadata : {} } as unknown as KubeObject
}
