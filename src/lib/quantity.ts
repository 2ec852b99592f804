import { formatExact } from './exact-json.ts'

/**
 * Kubernetes quantities, such as `512Mi`, `1.5G`, `100m` or `1e3`, reckoned exactly with BigInt.
 * Source: "Quantity" in the Kubernetes API reference; contract: ADM-DEC-005, PRIM-010, MUT-P-004.
 */

const NANO = 10n ** 9n
const PATTERN = /^([+-]?)(\d+\.?\d*|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?$/
/** Longer texts are refused: their numbers would cost more to reckon with than they could mean. */
const LENGTH_LIMIT = 64
/** Beyond it, whatever digits fit in a text are either more than the largest number or less than a billionth. */
const EXPONENT_LIMIT = 100
/** The largest number a quantity can be: more is as much. Source: `resource.Quantity` of Kubernetes, an int64. */
const LARGEST = 2n ** 63n - 1n
/** What most quantities look like: they need no BigInt on the way. */
const PLAIN = /^(\d{1,6})(Mi|Gi|Ki|[mkMG])?$/
const PLAIN_THOUSANDTHS: Record<string, number> = {
  m: 1,
  '': 1000,
  k: 1e6,
  M: 1e9,
  G: 1e12,
  Ki: 1000 * 1024,
  Mi: 1000 * 1024 ** 2,
  Gi: 1000 * 1024 ** 3,
}

const DECIMAL_POWERS: Record<string, number> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
}
const BINARY_SUFFIXES = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']

/** What a quantity may be in JSON. */
export type QuantityText = string | number | bigint

function divideAwayFromZero(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor
  if (dividend % divisor === 0n) return quotient
  return dividend < 0n ? quotient - 1n : quotient + 1n
}

/** Thousandths in a plain quantity, exactly; `undefined` for any other. */
function plainThousandths(text: QuantityText): number | undefined {
  const match = typeof text === 'string' ? PLAIN.exec(text) : null
  const each = match ? PLAIN_THOUSANDTHS[match[2] ?? ''] : undefined
  const thousandths = each === undefined ? Number.NaN : Number(match?.[1]) * each
  return Number.isSafeInteger(thousandths) ? thousandths : undefined
}

function notAQuantity(text: QuantityText): RangeError {
  return new RangeError(
    `${formatExact(text)} is not a quantity: write a number and a unit, such as 512Mi or 1.5G`,
  )
}

/** Numerator and denominator of what a suffix multiplies by. */
function scaleOf(suffix: string): [bigint, bigint] {
  const binary = BINARY_SUFFIXES.indexOf(suffix)
  if (binary > 0) return [1024n ** BigInt(binary), 1n]
  const written = DECIMAL_POWERS[suffix] ?? Number(suffix.slice(1))
  const power = Math.max(-EXPONENT_LIMIT, Math.min(written, EXPONENT_LIMIT))
  return power < 0 ? [1n, 10n ** BigInt(-power)] : [10n ** BigInt(power), 1n]
}

/**
 * Billionths in a quantity, rounded away from zero to a whole one: the finest a quantity can say. One that is more than
 * a quantity can be is as much as it can be.
 *
 * Throws `RangeError` where `text` is no quantity.
 */
export function quantityToNano(text: QuantityText): bigint {
  const nano = unboundedNano(text)
  const largest = LARGEST * NANO
  if (nano > largest) return largest
  return nano < -largest ? -largest : nano
}

/** The same without a largest one, for whoever writes it down again. */
export function unboundedNano(text: QuantityText): bigint {
  const trimmed = String(text).trim()
  const match = trimmed.length > LENGTH_LIMIT ? null : PATTERN.exec(trimmed)
  if (!match) throw notAQuantity(text)
  const [, sign = '', digits = '', suffix = ''] = match
  const [whole = '', fraction = ''] = digits.split('.')
  const [up, down] = scaleOf(suffix)
  const unsigned = BigInt(whole + fraction) * up * NANO
  const value = divideAwayFromZero(unsigned, down * 10n ** BigInt(fraction.length))
  return sign === '-' ? -value : value
}

/** Whether `text` is a quantity. */
export function isQuantity(text: unknown): text is QuantityText {
  if (typeof text !== 'string' && typeof text !== 'number' && typeof text !== 'bigint') return false
  if (typeof text === 'string' && PLAIN.test(text)) return true
  return String(text).trim().length <= LENGTH_LIMIT && PATTERN.test(String(text).trim())
}

/**
 * Bytes in a Kubernetes quantity such as `512Mi` or `1.5G`, rounded up to a whole byte.
 *
 * Throws `RangeError` where `text` is no quantity.
 */
export function quantityToBytes(text: QuantityText): bigint {
  const thousandths = plainThousandths(text)
  if (thousandths !== undefined) return BigInt(Math.ceil(thousandths / 1000))
  return divideAwayFromZero(quantityToNano(text), NANO)
}

/**
 * Thousandths in a quantity, as CPU time is counted; rounded away from zero.
 *
 * Throws `RangeError` where `text` is no quantity.
 */
export function quantityToMilli(text: QuantityText): bigint {
  const thousandths = plainThousandths(text)
  if (thousandths !== undefined) return BigInt(thousandths)
  return divideAwayFromZero(quantityToNano(text), 10n ** 6n)
}

/** Negative, zero or positive: how two quantities compare by value. Throws `RangeError` where one is none. */
export function compareQuantities(left: QuantityText, right: QuantityText): number {
  const difference = quantityToNano(left) - quantityToNano(right)
  if (difference === 0n) return 0
  return difference < 0n ? -1 : 1
}

/** Bytes as a quantity with the largest binary unit that divides them: 1536 MiB is `1536Mi`, 1 GiB is `1Gi`. */
export function formatBytes(bytes: bigint): string {
  let rest = bytes
  let unit = 0
  while (rest !== 0n && rest % 1024n === 0n && unit < BINARY_SUFFIXES.length - 1) {
    rest /= 1024n
    unit++
  }
  return `${rest}${BINARY_SUFFIXES[unit]}`
}
