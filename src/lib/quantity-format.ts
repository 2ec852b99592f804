import { unboundedNano } from './quantity.ts'

const BINARY = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']
const DECIMAL = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E']
/** Numbers too small to be said in a larger unit. */
const CANONICAL = /^[1-9]\d{0,2}(?:Mi|Gi|m|M|G)?$/
const NANO = 10n ** 9n

/**
 * A quantity in canonical form: no fraction, the largest unit of its family that says it exactly. A binary quantity
 * below 1 becomes a decimal one; an exponent stays an exponent.
 *
 * Throws `RangeError` where `text` is no quantity. Source: "Quantity" in the Kubernetes API reference; contract:
 * MUT-P-004.
 */
export function formatQuantity(text: string): string {
  if (CANONICAL.test(text)) return text
  const trimmed = text.trim()
  const nano = unboundedNano(trimmed)
  if (trimmed.startsWith('+') && formatQuantity(trimmed.slice(1)) === trimmed.slice(1)) return trimmed
  if (nano === 0n) return '0'
  const [, suffix = ''] = /([A-Za-z].*)$/.exec(trimmed) ?? []
  if (BINARY.includes(suffix) && nano % NANO === 0n) return formatBinary(nano / NANO)
  if (/^[eE][+-]?\d/.test(suffix)) return formatExponent(nano)
  return formatDecimal(nano)
}

function formatBinary(whole: bigint): string {
  let rest = whole
  let unit = -1
  while (rest % 1024n === 0n && unit < BINARY.length - 1) {
    rest /= 1024n
    unit += 1
  }
  return `${rest}${BINARY[unit] ?? ''}`
}

/** The number without its thousands, and how many of these it has; from billionths. */
function splitThousands(nano: bigint, limit: number): [rest: bigint, thousands: number] {
  let rest = nano
  let thousands = 0
  while (rest % 1000n === 0n && thousands < limit) {
    rest /= 1000n
    thousands += 1
  }
  return [rest, thousands]
}

function formatDecimal(nano: bigint): string {
  const [rest, thousands] = splitThousands(nano, DECIMAL.length - 1)
  return `${rest}${DECIMAL[thousands]}`
}

function formatExponent(nano: bigint): string {
  const [rest, thousands] = splitThousands(nano, Number.MAX_SAFE_INTEGER)
  const exponent = (thousands - 3) * 3
  return exponent === 0 ? `${rest}` : `${rest}e${exponent}`
}
