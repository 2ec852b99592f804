import { isDeepStrictEqual } from 'node:util'

/** A JSON object: neither a list nor null. */
export type JsonRecord = Record<string, unknown>

/** Whether a JSON value is an object. */
export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether two JSON values are the same; the order of members does not count. */
export function isSameJson(left: unknown, right: unknown): boolean {
  return isDeepStrictEqual(left, right)
}

/**
 * Sets a member, whatever its name.
 *
 * A plain assignment to `__proto__` would change the prototype instead; JSON from outside may hold that name.
 */
export function setMember(target: JsonRecord, name: string, value: unknown): void {
  if (name !== '__proto__') target[name] = value
  else Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true })
}

/** The member of that name, never one that was inherited. */
export function getMember(target: JsonRecord, name: string): unknown {
  return Object.hasOwn(target, name) ? target[name] : undefined
}

/** A copy that shares nothing, without members whose value is `undefined`: as if it had crossed the wire. */
export function copyJson<T>(value: T): T {
  // What JSON.stringify reads here is JSON already, so the copy has the same type.
  return JSON.parse(JSON.stringify(value)) as T
}
