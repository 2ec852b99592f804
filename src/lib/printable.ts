const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu

/**
 * Somebody else's text for a log, an event or a terminal: what does not print is written as `\u{a}`, and the end of a
 * text that is longer than `limit` characters becomes `…`. Source: security K3.
 */
export function printable(text: string, limit: number): string {
  const escaped = text
    .toWellFormed()
    .replaceAll(UNPRINTABLE, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`)
  return escaped.length <= limit ? escaped : `${escaped.slice(0, limit - 1).toWellFormed()}…`
}
