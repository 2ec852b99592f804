/** Words of the Common Expression Language. Source: "Syntax" in the CEL language definition. */

/** One word of an expression. */
export interface CelToken {
  kind: 'name' | 'number' | 'text' | 'bytes' | 'operator' | 'end'
  text: string
  /** Position of its first character. */
  at: number
}

/** The expression cannot be understood. The message says what and where. */
export class CelSyntaxError extends Error {
  constructor(message: string, at: number) {
    super(`${message} at character ${at + 1}`)
    this.name = 'CelSyntaxError'
  }
}

const ESCAPE = String.raw`\\(?:[abfnrtv\\?"'\x60]|[xX][\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[0-3][0-7]{2})`
const quoted = (quote: string, escape: string): string =>
  `${quote}(?:[^${quote}\\\\\\r\\n]|${escape})*${quote}`
const longQuoted = (quote: string, escape: string): string =>
  `${quote.repeat(3)}(?:(?!${quote.repeat(3)})(?:[^\\\\]|${escape}))*${quote.repeat(3)}`
const texts = (escape: string): string =>
  ['"', "'"].flatMap((quote) => [longQuoted(quote, escape), quoted(quote, escape)]).join('|')

const SKIPPED = /(?:\s+|\/\/[^\n]*)*/y
const TOKENS: readonly [Exclude<CelToken['kind'], 'end'>, RegExp][] = [
  ['bytes', new RegExp(`(?:[bB][rR]|[rR][bB])(?:${texts('\\\\.')})|[bB](?:${texts(ESCAPE)})`, 'sy')],
  ['text', new RegExp(`[rR](?:${texts('\\\\.')})|${texts(ESCAPE)}`, 'sy')],
  ['number', /0[xX][\da-fA-F]+[uU]?|(?:\d+\.\d+|\d+(?=[eE])|\.\d+)(?:[eE][+-]?\d+)?|\d+[uU]?/y],
  ['name', /[A-Za-z_]\w*/y],
  ['operator', /&&|\|\||[=!<>]=|[-+*/%!<>?:.,()[\]{}]/y],
]

/** The words of an expression, with an end. Throws `CelSyntaxError`. */
export function tokenizeCel(expression: string): CelToken[] {
  const tokens: CelToken[] = []
  for (let at = skip(expression, 0); at < expression.length;) {
    const token = tokenAt(expression, at)
    tokens.push(token)
    at = skip(expression, at + token.text.length)
  }
  return [...tokens, { kind: 'end', text: '', at: expression.length }]
}

function skip(expression: string, at: number): number {
  SKIPPED.lastIndex = at
  SKIPPED.test(expression)
  return SKIPPED.lastIndex
}

function tokenAt(expression: string, at: number): CelToken {
  for (const [kind, pattern] of TOKENS) {
    pattern.lastIndex = at
    const text = pattern.exec(expression)?.[0]
    if (text !== undefined) return { kind, text, at }
  }
  throw new CelSyntaxError(`${JSON.stringify(expression[at])} is not expected`, at)
}
