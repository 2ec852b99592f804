import { formatExact } from '../exact-json.ts'
import { invalidValue, unsupportedValue } from '../causes.ts'
import type { Cause } from '../errors.ts'
import type { Schema } from './schema.ts'

/** What is wrong with a value that stands at a place; nothing where it is right. */
export type ScalarCheck = (value: unknown, place: () => string) => Cause | undefined

/** The word that messages use for the type of a JSON value. */
export function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (isWhole(value)) return 'integer'
  return typeof value
}

/** A value of another type. In the words of kube-apiserver, which people search for. */
export function wrongType(place: string, expected: string, value: unknown): Cause {
  const found = JSON.stringify(typeName(value))
  return {
    reason: 'FieldValueTypeInvalid',
    field: place,
    message: `Invalid value: ${found}: ${place} in body must be of type ${expected}: ${found}`,
  }
}

const LONGEST_SHOWN = 100

function show(value: unknown): string {
  const text = formatExact(value)
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text
}

function typed(expected: string, fits: (value: unknown) => boolean): ScalarCheck {
  return (value, place) => (fits(value) ? undefined : wrongType(place(), expected, value))
}

/** A text that has to look a certain way; `hint` says how. */
function formed(type: ScalarCheck, fits: (text: string) => boolean, hint: string): ScalarCheck {
  return (value, place) => {
    const wrong = type(value, place)
    if (wrong || fits(String(value))) return wrong
    return invalidValue(place(), `Invalid value: ${show(value)}: must be ${hint}`)
  }
}

/** A whole number; one that JavaScript would round is a `bigint`. */
function isWhole(value: unknown): value is number | bigint {
  return Number.isInteger(value) || typeof value === 'bigint'
}

function ranged(least: number | bigint, most: number | bigint): ScalarCheck {
  return (value, place) => {
    const wrong = integer(value, place)
    if (wrong || !isWhole(value) || (value >= least && value <= most)) return wrong
    return invalidValue(place(), `Invalid value: ${value}: must be between ${least} and ${most}`)
  }
}

const string = typed('string', (value) => typeof value === 'string')
const boolean = typed('boolean', (value) => typeof value === 'boolean')
const isNumber = (value: unknown) => typeof value === 'number' || typeof value === 'bigint'
const number = typed('number', isNumber)
const integer = typed('integer', isWhole)
const textOrNumber = typed('string or number', (value) => typeof value === 'string' || isNumber(value))
const textOrInteger = typed('string or integer', (value) => typeof value === 'string' || isWhole(value))

const QUANTITY = /^[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?(\d+(\.\d*)?|\.\d+))?$/
const TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d([.,]\d+)?([Zz]|[+-]\d\d:\d\d)$/
const DURATION = /^[-+]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)$/
const BASE64 = /^(?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?$/

const isTime = (text: string) => TIME.test(text) && !Number.isNaN(Date.parse(text))
const isBase64 = (text: string) => BASE64.test(text.replaceAll(/[\r\n]/g, ''))

/** By `format` first: it says more than the type. */
const BY_FORMAT: Record<string, ScalarCheck> = {
  int32: ranged(-(2 ** 31), 2 ** 31 - 1),
  uint32: ranged(0, 2 ** 32 - 1),
  int64: ranged(-(2n ** 63n), 2n ** 63n - 1n),
  uint64: ranged(0, 2n ** 64n - 1n),
  'int-or-string': textOrInteger,
  quantity: formed(textOrNumber, (text) => QUANTITY.test(text), 'a quantity, such as 500m, 2 or 1.5Gi'),
  'date-time': formed(string, isTime, 'a moment in RFC 3339, such as 2026-01-31T12:00:00Z'),
  duration: formed(string, (text) => DURATION.test(text), 'a span of time, such as 90s or 1h30m'),
  byte: formed(string, isBase64, 'base64'),
}

const BY_TYPE: Record<string, ScalarCheck> = { string, boolean, number, integer }

/** The check of a schema that describes a single value; nothing where it does not. */
export function scalarCheckOf({ type, format, enum: words }: Schema): ScalarCheck | undefined {
  const check = BY_FORMAT[format ?? ''] ?? BY_TYPE[type ?? '']
  return check && words ? oneOf(check, words) : check
}

function oneOf(type: ScalarCheck, words: readonly string[]): ScalarCheck {
  return (value, place) => {
    const wrong = type(value, place)
    if (wrong || words.includes(String(value))) return wrong
    const known = words.map((word) => JSON.stringify(word)).join(', ')
    return unsupportedValue(place(), `Unsupported value: ${show(value)}: supported values: ${known}`)
  }
}
