const QUOTE = 0x22
const BACKSLASH = 0x5c
/** `[` and `{` differ in this bit alone, as do `]` and `}`. */
const CURLY = 0x20
const OPENING = 0x7b
const CLOSING = 0x7d

/** Whether JSON is nested deeper than that. Reads bytes alone: what is no JSON is found out by whoever parses it. */
export function isDeeperThan(json: Buffer, limit: number): boolean {
  let depth = 0
  let isText = false
  for (let at = 0; at < json.length; at++) {
    const byte = json[at] ?? 0
    if (isText) {
      if (byte === BACKSLASH) at += 1
      else if (byte === QUOTE) isText = false
    } else if (byte === QUOTE) isText = true
    else if ((byte | CURLY) === OPENING) {
      depth += 1
      if (depth > limit) return true
    } else if ((byte | CURLY) === CLOSING) depth -= 1
  }
  return false
}
