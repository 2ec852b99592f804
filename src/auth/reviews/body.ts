/** Reading the body of a review, which is as the client sent it. */
import { badRequest, invalid, type Cause } from '../../lib/errors.ts'
import { invalidValue, requiredValue } from '../../lib/causes.ts'
import { isRecord, type JsonRecord } from '../../lib/json.ts'

/** A review that is read: its spec, and the rest of it, which goes back to the client. */
export interface ReviewBody {
  object: JsonRecord
  spec: JsonRecord
}

/** What a review is, for messages. */
export interface ReviewName {
  group: string
  version: string
  kind: string
}

/** The body and its spec. Throws 400 where it is another kind or no object. */
export function readReview(body: unknown, { group, version, kind }: ReviewName): ReviewBody {
  if (!isRecord(body)) throw badRequest(`the body is no JSON object: send a ${kind}`)
  const apiVersion = `${group}/${version}`
  if ((body.kind ?? kind) !== kind || (body.apiVersion ?? apiVersion) !== apiVersion) {
    throw badRequest(
      `the body is ${JSON.stringify(body.kind)} in ${JSON.stringify(body.apiVersion)}: send a ${kind} in "${apiVersion}"`,
    )
  }
  const spec = body.spec ?? {}
  if (!isRecord(spec)) throw badRequest('spec is no JSON object')
  return { object: { metadata: {}, ...body, kind, apiVersion }, spec }
}

/** The text in a field; `undefined` where there is none. Throws 422 where it is something else. */
export function readText(from: JsonRecord, field: string, at: string, who: ReviewName): string | undefined {
  const value = from[field]
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  throw wrong(who, invalidValue(`${at}.${field}`, 'must be a string'))
}

/** The list of texts in a field; empty where there is none. Throws 422 where it is something else. */
export function readTexts(from: JsonRecord, field: string, at: string, who: ReviewName): string[] {
  const value = from[field] ?? []
  if (isTexts(value)) return value
  throw wrong(who, invalidValue(`${at}.${field}`, 'must be a list of strings'))
}

/** Lists of texts by key. Throws 422 where it is something else. */
export function readExtra(from: JsonRecord, at: string, who: ReviewName): Record<string, string[]> {
  const value = from.extra ?? {}
  const extra: Record<string, string[]> = Object.create(null)
  if (!isRecord(value)) throw wrong(who, invalidValue(`${at}.extra`, 'must be an object'))
  for (const [key, texts] of Object.entries(value)) {
    if (!isTexts(texts)) throw wrong(who, invalidValue(`${at}.extra[${key}]`, 'must be a list of strings'))
    extra[key] = texts
  }
  return extra
}

/** 422 for one field. */
export function wrong({ group, kind }: ReviewName, cause: Cause): Error {
  return invalid({ group, kind }, '', [cause])
}

/** 422: the field has to be given. */
export function required(who: ReviewName, field: string, message: string): Error {
  return wrong(who, requiredValue(field, message))
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string')
}
