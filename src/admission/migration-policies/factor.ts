const DIGITS = '[0-9]+(?:_[0-9]+)*'
const HEX = '[0-9a-f]+(?:_[0-9a-f]+)*'
const DECIMAL = new RegExp(`^[+-]?(?:${DIGITS}(?:\\.(?:${DIGITS})?)?|\\.${DIGITS})(?:e[+-]?${DIGITS})?$`, 'i')
const HEXADECIMAL = new RegExp(`^([+-]?)0x_?(?:(${HEX})(?:\\.(${HEX})?)?|\\.(${HEX}))p([+-]?${DIGITS})$`, 'i')
/** How far a text may be from a number with three decimals. */
const TOLERANCE = 1e-9

/**
 * The number in a text that is a factor: as Go writes floating-point numbers, finite, with at most three decimals.
 * `undefined` where it is none. Contract: admission-others.md, section 6.
 */
export function parseFactor(given: unknown): number | undefined {
  if (typeof given !== 'string') return undefined
  const text = given.trim()
  const value = DECIMAL.test(text) ? Number(text.replaceAll('_', '')) : parseHexadecimal(text)
  if (value === undefined || !Number.isFinite(value)) return undefined
  const rounded = Math.round(value * 1000) / 1000
  // Numbers so large that they cannot be multiplied have no decimals.
  return !Number.isFinite(rounded) || Math.abs(value - rounded) <= TOLERANCE ? value : undefined
}

function parseHexadecimal(text: string): number | undefined {
  const match = HEXADECIMAL.exec(text)
  if (!match) return undefined
  const [, sign, whole = '', fraction = match[4] ?? '', , exponent = ''] = match
  const decimals = fraction.replaceAll('_', '')
  const digits = whole.replaceAll('_', '') + decimals
  const scale = Number(exponent.replaceAll('_', '')) - 4 * decimals.length
  const value = Number(`0x${digits || '0'}`) * 2 ** scale
  return sign === '-' ? -value : value
}
