/**
 * JSON whose whole numbers have 64 bits, as QMP's and that of the Kubernetes API.
 * Source: contract 1.1; https://www.qemu.org/docs/master/interop/qmp-spec.html; security.md, J2.
 */

/** Only a text with that many digits in a row can hold a number that JavaScript would round. */
const LONG_NUMBER = /\d{16}/
const WHOLE = /^-?\d+$/

/** Parses JSON. Whole numbers that JavaScript would round become `bigint`; all others stay numbers. */
export function parseExact(text: string): unknown {
  return LONG_NUMBER.test(text) ? JSON.parse(text, keepExact) : JSON.parse(text)
}

/** A value as JSON, `bigint`s as the numbers they are. */
export function formatExact(value: unknown, indent?: number): string {
  try {
    return JSON.stringify(value, undefined, indent)
  } catch (error) {
    // It does so for a `bigint`: what has none is not slowed down.
    if (!(error instanceof TypeError)) throw error
    return JSON.stringify(value, writeExact, indent)
  }
}

/** A copy of what was read exactly, as it would be had it crossed a wire to somebody who reads plain JSON. */
export function roundNumbers<T>(value: T): T {
  // The types know of no `bigint`: where one stands, a number is what is said to be there.
  return JSON.parse(formatExact(value)) as T
}

function keepExact(_name: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const source = context?.source ?? ''
  // What is written as it came is exact.
  return WHOLE.test(source) && String(value) !== source ? BigInt(source) : value
}

function writeExact(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? rawJson(value.toString()) : value
}

function rawJson(text: string): unknown {
  // Node 21 and later have it; the type library of ES2024 does not.
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text)
}
