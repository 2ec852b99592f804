/** The envelope of a webhook: AdmissionReview in, AdmissionReview out. Contract: admission-overview.md, 2 to 6. */
import { formatExact, parseExact } from '../../lib/exact-json.ts'
import type { User } from '../../auth/access.ts'
import type { KubeObject } from '../../kinds/meta.ts'
import { StatusError, type Cause } from '../../lib/errors.ts'
import { cloneJson, isRecord, type JsonRecord } from '../../lib/json.ts'
import type { AdmissionRequest } from '../admission.ts'
import {
  complete,
  findCauses,
  openReview,
  staysAsWritten,
  warningsOf,
  type AdmissionParts,
} from '../judge.ts'
import { encode } from '../types/encode.ts'
import { createPatch, type PatchOperation } from './patch.ts'
import { WEBHOOKS, type Webhook } from './paths.ts'
import { refuseError, refuseFaults, refuseLimited, refusePlugin } from './refusal.ts'
import { countMembers, scanMembers } from './scan.ts'
import {
  checkOperation,
  checkResource,
  checkShape,
  checkStatus,
  decodeObject,
  decodeOld,
  isResource,
  readSound,
  toObject,
} from './steps.ts'

/** What is answered: HTTP's code, and the body where there is one. */
export interface WebhookAnswer {
  code: number
  body?: JsonRecord
  /** What went wrong in here, for the log: a mistake of ours, not of the client. */
  failure?: unknown
}

/** What comes of a review that is not refused on the way. */
export interface Verdict {
  /** What is wrong; absent where nothing is. */
  causes?: Cause[]
  /** Why the namespace has no room for it; absent where it has. */
  limit?: StatusError
  patch?: PatchOperation[]
  warnings?: string[]
}

/** Objects of our kinds are some twenty levels deep; a stack holds some thousand (security.md, D8). */
const DEPTH_LIMIT = 64
const API_VERSION = 'admission.k8s.io/v1'

/** The webhook at a path; `undefined` where there is none. */
export function findWebhook(path: string): Webhook | undefined {
  return WEBHOOKS.find((webhook) => webhook.path === path)
}

/**
 * Answers one review. Never throws: what cannot be read is 400, a review without a request too, and what goes wrong
 * in here is a refusal that says so. Contract: ADM-HTTP-005, ADM-RESP-001 … 006.
 */
export async function answerReview(
  parts: AdmissionParts,
  webhook: Webhook,
  body: Buffer,
): Promise<WebhookAnswer> {
  const review = parseReview(body)
  if (!review) return { code: 400 }
  const { request } = review
  const apiVersion = webhook.mutates ? API_VERSION : review.apiVersion
  const envelope = { kind: 'AdmissionReview', ...(apiVersion && { apiVersion }) }
  const uid = typeof request.uid === 'string' ? request.uid : ''
  try {
    const verdict = await reviewRequest(parts, webhook, request)
    return { code: 200, body: { ...envelope, response: responseOf(webhook, uid, verdict) } }
  } catch (error) {
    const response = { uid, allowed: false, status: refuseError(error) }
    return {
      code: 200,
      body: { ...envelope, response },
      ...(!(error instanceof StatusError) && { failure: error }),
    }
  }
}

/** Contract: MUT-P-001, ADM-RESP-005, 006. */
function responseOf(
  { refusesWhole }: Webhook,
  uid: string,
  { causes, limit, patch = [], warnings = [] }: Verdict,
): JsonRecord {
  if (limit) return { uid, allowed: false, status: refuseLimited(limit) }
  if (causes)
    return { uid, allowed: false, status: refusesWhole ? refusePlugin(causes) : refuseFaults(causes) }
  return {
    uid,
    allowed: true,
    ...(patch.length > 0 && {
      patch: Buffer.from(formatExact(patch)).toString('base64'),
      patchType: 'JSONPatch',
    }),
    ...(warnings.length > 0 && { warnings }),
  }
}

/**
 * The request of a review; `undefined` for a body that holds none, or that says something twice: no Kubernetes API sends
 * that, and not everybody takes the same of the two. Contract: ADM-HTTP-002, 004, 006; CRASH-001; security.md, D8.
 */
function parseReview(body: Buffer): { apiVersion: string; request: JsonRecord } | undefined {
  let review: unknown
  const members = scanMembers(body, DEPTH_LIMIT)
  if (members === undefined) return undefined
  try {
    review = parseExact(body.toString('utf8'))
  } catch {
    // It is answered as what it is: nothing that can be read.
    return undefined
  }
  if (!isRecord(review) || !isRecord(review.request) || countMembers(review) !== members) return undefined
  const { apiVersion = '' } = review
  return typeof apiVersion === 'string' ? { apiVersion, request: review.request } : undefined
}

/**
 * Reviews the request of an AdmissionReview. Throws a `StatusError` for what is refused before the rules are asked: 400,
 * or 422 with its causes.
 */
export async function reviewRequest(
  parts: AdmissionParts,
  webhook: Webhook,
  request: JsonRecord,
): Promise<Verdict> {
  const { operation } = request
  if (webhook.review) return { patch: (await webhook.review(parts, request)) ?? [] }
  if (webhook.onlyOperations && !webhook.onlyOperations.some((known) => known === operation)) return {}
  let object: KubeObject | undefined
  let old: KubeObject | undefined
  // Where nothing is amiss, one look was enough for the shape and the types.
  const sound = webhook.steps.includes('shape') ? readSound(webhook, request.object) : undefined
  for (const step of webhook.steps) {
    if (step === 'others' && !isResource(webhook, request.resource)) return {}
    if (step === 'created' && operation !== 'CREATE') return {}
    if (step === 'resource') checkResource(webhook, request.resource)
    else if (step === 'status') checkStatus(request.object)
    else if (step === 'written') checkOperation(operation)
    else if (step === 'shape' && !sound) checkShape(webhook, request.object)
    else if (step === 'decode') {
      object = sound ?? decodeObject(webhook, request.object, 'object')
      if (operation === 'UPDATE') old = decodeOld(webhook, request.oldObject)
    }
  }
  object ??= toObject(isRecord(request.object) ? request.object : {})
  const what = { operation: operationOf(webhook, operation), object, old }
  return settle(parts, webhook, admissionRequest(webhook, request, what), request.object)
}

async function settle(
  parts: AdmissionParts,
  webhook: Webhook,
  request: AdmissionRequest,
  given: unknown,
): Promise<Verdict> {
  // Gone soon: nothing is refused and nothing completed any more. Contract: VM-004, MUT-VM-004.
  if (request.object.metadata?.deletionTimestamp && webhook.spec === 'VirtualMachineSpec') return {}
  return webhook.mutates ? mutate(parts, webhook, request, given) : validate(parts, request)
}

async function validate(parts: AdmissionParts, request: AdmissionRequest): Promise<Verdict> {
  const review = await openReview(parts, request, 'judge')
  if (!review) return {}
  const causes = findCauses(review)
  if (causes.length > 0) return { causes }
  try {
    await parts.limits?.admit(request)
  } catch (error) {
    if (!(error instanceof StatusError)) throw error
    return { limit: error }
  }
  parts.admitted?.(request)
  return { warnings: warningsOf(review) }
}

async function mutate(
  parts: AdmissionParts,
  webhook: Webhook,
  request: AdmissionRequest,
  given: unknown,
): Promise<Verdict> {
  // What was given is still needed, to be compared with.
  const own = { ...request, object: cloneJson(request.object) }
  const limited = (await parts.limits?.complete(own)) ?? own
  const review = await openReview(parts, limited, 'complete')
  if (!review) return {}
  const warnings = complete(review)
  if (staysAsWritten(review)) return { warnings }
  const sections = webhook.sections?.[request.operation] ?? []
  const after = encodeSections(webhook, review.input.object, sections)
  return { patch: createPatch(isRecord(given) ? given : {}, after, sections), warnings }
}

function operationOf({ operation }: Webhook, asked: unknown): 'CREATE' | 'UPDATE' {
  if (operation) return operation
  return asked === 'CREATE' ? 'CREATE' : 'UPDATE'
}

function admissionRequest(
  { kind, subresource }: Webhook,
  request: JsonRecord,
  what: { operation: 'CREATE' | 'UPDATE'; object: KubeObject; old: KubeObject | undefined },
): AdmissionRequest {
  const { namespace, name } = what.object.metadata ?? {}
  const { operation, object, old } = what
  return {
    operation,
    object,
    ...(old && { old }),
    kind,
    namespace: namespace ?? textOf(request.namespace),
    name: name ?? textOf(request.name),
    user: userOf(request.userInfo),
    dryRun: request.dryRun === true,
    ...(subresource && { subresource }),
  }
}

function userOf(info: unknown): User {
  const { username, uid, groups, extra } = isRecord(info) ? info : {}
  return {
    name: textOf(username),
    ...(typeof uid === 'string' && { uid }),
    groups: textsOf(groups),
    ...(isRecord(extra) && { extra: extraOf(extra) }),
  }
}

function extraOf(extra: JsonRecord): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(extra).map(([name, values]) => [name.toLowerCase(), textsOf(values)]),
  )
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((text) => typeof text === 'string') : []
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** Sections of an object as KubeVirt writes them. */
function encodeSections(
  { spec, status }: Webhook,
  object: KubeObject,
  sections: readonly string[],
): JsonRecord {
  const parts: JsonRecord = { ...object }
  const types: Record<string, string | undefined> = { metadata: 'meta.ObjectMeta', spec, status }
  return Object.fromEntries(
    sections.flatMap((section) => {
      const type = types[section]
      const isThere = section !== 'status' || parts.status !== undefined
      return type && isThere ? [[section, encode(type, parts[section])]] : []
    }),
  )
}
