/**
 * QMP's JSON, whose whole numbers have 64 bits.
 * Source: contract 1.1; https://www.qemu.org/docs/master/interop/qmp-spec.html
 */

/** Only a text with that many digits in a row can hold a number that JavaScript would round. */
const LONG_NUMBER = /\d{16}/
const WHOLE = /^-?\d+$/

/** Parses one message. Whole numbers that JavaScript would round become `bigint`; all others stay numbers. */
export function parseMessage(text: string): unknown {
  return LONG_NUMBER.test(text) ? JSON.parse(text, keepExact) : JSON.parse(text)
}

/** One message as text, `bigint`s as the numbers they are. */
export function formatMessage(message: object): string {
  return JSON.stringify(message, (_name, value: unknown) =>
    typeof value === 'bigint' ? rawJson(value.toString()) : value,
  )
}

function keepExact(_name: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const source = context?.source ?? ''
  return WHOLE.test(source) ? BigInt(source) : value
}

function rawJson(text: string): unknown {
  // Node 21 and later have it; the type library of ES2024 does not.
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text)
}
