import { badRequest, conflict } from '../lib/errors.ts'
import { isInUse } from '../lib/in-use.ts'
import { printable } from '../lib/printable.ts'
import { VMI } from './lookup.ts'
import type { Call } from './subresource.ts'

/** What counts as yes; everything else is no. Source: `strconv.ParseBool` of Go. */
const TRUE = ['1', 't', 'T', 'TRUE', 'true', 'True']
const FALSE = ['0', 'f', 'F', 'FALSE', 'false', 'False']
/** Characters of a user's name that a node writes down. */
const USER_LIMIT = 256

/** Whether a query parameter says yes; what cannot be understood is no (contract 4.1). */
export function isYes({ query }: Pick<Call, 'query'>, name: string): boolean {
  return TRUE.includes(query[name] ?? '')
}

/** The same, where what cannot be understood is refused with 400. */
export function isExactlyYes({ query }: Pick<Call, 'query'>, name: string): boolean {
  const value = query[name]
  // Kubernetes takes `?follow` and `?follow=` for yes.
  if (value === undefined || FALSE.includes(value)) return false
  if (value === '' || TRUE.includes(value)) return true
  throw wrongParameter(name, `it is ${JSON.stringify(printable(value, 100))} and must be true or false`)
}

/** Who asks, as a node writes it down. */
export function userOf({ user }: Pick<Call, 'user'>): string {
  return printable(user.name, USER_LIMIT)
}

/** 400 about one query parameter. */
export function wrongParameter(name: string, why: string): Error {
  const message = `query parameter ${name}: ${why}`
  return badRequest(message, [{ reason: 'FieldValueInvalid', message: why, field: name }])
}

/** The node says that somebody has the session who is not to be disturbed: 409, where nodes answer 503 (contract 4.5). */
export function refuseTakeOver(error: unknown, name: string, what: string): Error {
  if (isInUse(error)) return conflict(VMI, name, `another ${what} session is active`)
  return error instanceof Error ? error : new Error(String(error))
}
