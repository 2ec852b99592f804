import { formatExact, parseExact } from './exact-json.ts'

/** A JSON object: neither a list nor null. */
export type JsonRecord = Record<string, unknown>

/** Whether a JSON value is an object. */
export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether two JSON values are the same; the order of members does not count. */
export function isSameJson(left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  if (Array.isArray(left)) {
    if (!Array.isArray(right) || left.length !== right.length) return false
    for (let index = 0; index < left.length; index++) {
      if (!isSameJson(left[index], right[index])) return false
    }
    return true
  }
  return isRecord(left) && isRecord(right) && isSameRecord(left, right)
}

function isSameRecord(left: JsonRecord, right: JsonRecord): boolean {
  const names = Object.keys(left)
  if (names.length !== Object.keys(right).length) return false
  for (const name of names) {
    if (!Object.hasOwn(right, name) || !isSameJson(left[name], right[name])) return false
  }
  return true
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

/**
 * What may be changed in place of `original`: `copy`, which is `original` itself as long as nothing was changed. With this,
 * what stays as it is costs no copy.
 */
export function copyOnce(copy: JsonRecord, original: JsonRecord): JsonRecord {
  return copy === original ? { ...original } : copy
}

/** A copy that shares nothing, without members whose value is `undefined`: as if it had crossed the wire. */
export function copyJson<T>(value: T): T {
  // What JSON.stringify reads here is JSON already, so the copy has the same type.
  return parseExact(formatExact(value)) as T
}

/** A copy of a JSON value that shares nothing with it. Faster than `structuredClone`, which takes more than JSON. */
export function cloneJson<T>(value: T): T {
  // A copy of a list is a list, and of an object an object with the same members.
  return cloneValue(value) as T
}

function cloneValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(cloneValue)
  if (!isRecord(value)) return value
  // Its members are there then, so that setting one changes it, whatever its name.
  const copy = { ...value }
  for (const name in copy) {
    const content = copy[name]
    if (typeof content === 'object' && content !== null) copy[name] = cloneValue(content)
  }
  return copy
}
