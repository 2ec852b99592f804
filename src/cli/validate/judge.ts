/** Judges objects as a cluster would, without one. */
import { randomUUID } from 'node:crypto'
import type { AdmissionConfig } from '../../admission/config.ts'
import { WEBHOOKS, type Webhook } from '../../admission/webhooks/paths.ts'
import { reviewRequest } from '../../admission/webhooks/review.ts'
import type { AdmissionParts } from '../../admission/judge.ts'
import { mayUseAll } from '../../kinds/foreign-use.ts'
import { apiVersionOf, type Kind } from '../../kinds/kind.ts'
import type { KubeObject } from '../../kinds/meta.ts'
import { KINDS } from '../../kinds/table.ts'
import { systemClock } from '../../lib/clock.ts'
import { StatusError, type Cause } from '../../lib/errors.ts'
import { applyJsonPatch } from '../../lib/json-patch.ts'
import { copyJson, isRecord, type JsonRecord } from '../../lib/json.ts'
import { buildReader, type Cluster } from './cluster.ts'
import { locate } from './locate.ts'
import { findingOf, sentenceAt, tidy, type Finding, type Outcome } from './outcome.ts'
import type { Found } from './read.ts'

/** The schemas of all kinds. */
export interface Shapes {
  /** What of an object does not fit the schema of its kind. */
  check(kind: Kind, object: KubeObject): { causes: Cause[]; unknownFields: string[] }
  /** A copy without the fields that the schema does not know. */
  prune(kind: Kind, object: KubeObject): KubeObject
}

/** What objects are judged by. */
export interface Judging {
  config: AdmissionConfig
  shapes: Shapes
  /** All objects, those that are judged among them. */
  cluster: Cluster
}

/** What came of an object; its namespace is set. */
export async function judgeObject(found: Found, judging: Judging): Promise<Outcome> {
  const outcome = begin(found)
  const { apiVersion, kind: name } = outcome
  const webhooks = WEBHOOKS.filter((webhook) => isFor(webhook, apiVersion, name))
  const kind = kindOf(apiVersion, name)
  if (!kind) {
    const note = `nothing is known of ${apiVersion} ${name}`
    return { ...outcome, result: 'skipped', notes: [note] }
  }
  if (!kind.namespaced) outcome.namespace = ''
  const isServed = apiVersionOf(kind) === apiVersion || webhooks.length > 0
  const shape = isServed ? readShape(found, kind, judging.shapes) : otherVersion(found, kind)
  outcome.errors.push(...shape.errors)
  if (shape.object) await reviewAll(found, shape.object, { webhooks, outcome, judging })
  outcome.errors = tidy(outcome.errors)
  outcome.warnings = tidy(outcome.warnings)
  if (outcome.errors.length > 0) outcome.result = 'invalid'
  return outcome
}

function begin(found: Found): Outcome {
  const { file, object } = found
  const metadata = isRecord(object.metadata) ? object.metadata : {}
  return {
    file,
    ...locate(found, ''),
    apiVersion: String(object.apiVersion),
    kind: String(object.kind),
    namespace: textOf(metadata.namespace),
    name: textOf(metadata.name) || textOf(metadata.generateName),
    result: 'valid',
    errors: [],
    warnings: [],
    notes: [],
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** The kind of that name and group, in whatever version. */
function kindOf(apiVersion: string, name: string): Kind | undefined {
  const [group = ''] = apiVersion.includes('/') ? apiVersion.split('/') : ['']
  return KINDS.find((kind) => kind.kind === name && kind.group === group)
}

/** Whether a webhook reviews new objects of that kind. */
function isFor(
  { kind, versions, operation, subresource, review }: Webhook,
  apiVersion: string,
  name: string,
) {
  const [group = '', version = ''] = apiVersion.split('/')
  const isNew = operation !== 'UPDATE' && !subresource && !review
  return isNew && kind.kind === name && kind.group === group && (versions ?? [kind.version]).includes(version)
}

/** What is wrong before any rule is asked. */
interface Shape {
  errors: Finding[]
  /** What the rules are asked about; absent where it makes no sense to ask. */
  object?: JsonRecord
}

function otherVersion(found: Found, kind: Kind): Shape {
  const message = `is not served: write ${apiVersionOf(kind)}`
  return { errors: [findingOf(found, { field: 'apiVersion', reason: 'FieldValueNotSupported', message })] }
}

/** Unknown fields, as kubectl refuses them, and whatever is of another type than it should be. */
function readShape(found: Found, kind: Kind, shapes: Shapes): Shape {
  const object = asObject(found.object)
  const { causes, unknownFields } = shapes.check(kind, object)
  const message = 'is no field: remove it, or mend its name'
  const unknown = unknownFields.map((field) => ({ field, reason: 'UnknownField', message }))
  const errors = [...unknown, ...nameFaults(found), ...causes].map((cause) => findingOf(found, cause))
  if (causes.length > 0) return { errors }
  // The rules would say once more what they do not know.
  const known = unknown.length > 0 ? shapes.prune(kind, object) : object
  return { errors, object: copyJson({ ...known }) }
}

/** What is given to a schema: whether it is what it says is just what that finds out. */
function asObject(object: JsonRecord): KubeObject {
  return object as unknown as KubeObject
}

function nameFaults({ object: { metadata } }: Found): Cause[] {
  if (isRecord(metadata) && (textOf(metadata.name) || textOf(metadata.generateName))) return []
  return [{ field: 'metadata.name', reason: 'FieldValueRequired', message: 'an object has a name' }]
}

interface Review {
  webhooks: readonly Webhook[]
  outcome: Outcome
  judging: Judging
}

/** Asks webhook after webhook, mutating ones first; what was refused by one is not shown to the next. */
async function reviewAll(
  found: Found,
  given: JsonRecord,
  { webhooks, outcome, judging }: Review,
): Promise<void> {
  const missing = new Set<string>()
  const parts: AdmissionParts = {
    config: () => judging.config,
    reader: buildReader(judging.cluster, found, (what) => missing.add(what)),
    foreignUses: () => mayUseAll,
    clock: systemClock,
    newUid: randomUUID,
  }
  let object: unknown = given
  for (const webhook of webhooks) {
    try {
      const request = { ...requestFor(webhook, outcome), object }
      const { causes = [], patch, warnings = [] } = await reviewRequest(parts, webhook, request)
      outcome.warnings.push(...warnings.map((warning) => sentenceAt(found, warning)))
      outcome.errors.push(...causes.map((cause) => findingOf(found, cause)))
      if (causes.length > 0) break
      if (patch) object = applyJsonPatch(object, patch)
    } catch (error) {
      if (!(error instanceof StatusError)) throw error
      refuse(found, outcome, error, missing)
      break
    }
  }
  if (missing.size > 0) outcome.notes.push(`not among the files: ${[...missing].join(', ')}`)
}

/** What is not there offline may be there in a cluster: then nothing is known. */
function refuse(found: Found, outcome: Outcome, refusal: StatusError, missing: ReadonlySet<string>): void {
  const causes = refusal.details?.causes
  if (causes) outcome.errors.push(...causes.map((cause) => findingOf(found, cause)))
  else if (missing.size === 0) outcome.errors.push(sentenceAt(found, refusal.message))
  else {
    outcome.result = 'undecided'
    outcome.notes.push(refusal.message)
  }
}

function requestFor({ kind }: Webhook, { apiVersion, namespace, name }: Outcome): JsonRecord {
  const [group = '', version = ''] = apiVersion.split('/')
  return {
    uid: randomUUID(),
    resource: { group, version, resource: kind.plural },
    operation: 'CREATE',
    namespace,
    name,
    userInfo: { username: 'virtgate-validate', groups: ['system:authenticated'] },
    dryRun: true,
  }
}
