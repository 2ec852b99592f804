/** Bytes of UTF-8 that a text of a guest's may have. Source: security F5. */
const LIMIT = 256
/** Control characters, halves of characters, and what some take for the end of a line. */
const UNFIT = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/gu

/** A guest's text as it may be shown: without control characters, and cut off after 256 bytes. Source: security F5. */
export function cleanText(text: string): string {
  // No more of a long one is looked at than can be left of it.
  const clean = text.slice(0, LIMIT * 4).replaceAll(UNFIT, '')
  if (Buffer.byteLength(clean) <= LIMIT) return clean
  return new TextDecoder().decode(Buffer.from(clean).subarray(0, LIMIT)).replace(/\uFFFD+$/, '')
}
