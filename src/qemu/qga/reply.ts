import { parseExact } from '../../lib/exact-json.ts'

/** Members within members that an answer may have. Source: security F5. */
const DEPTH_LIMIT = 16
const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPENING = new Set([0x5b, 0x7b])
const CLOSING = new Set([0x5d, 0x7d])

/** What the guest has sent is no answer. The message says why, in our words. */
export class BadReply extends Error {
  constructor(why: string, cause?: unknown) {
    super(why, cause === undefined ? undefined : { cause })
    this.name = 'BadReply'
  }
}

/** One line of the agent's as JSON. Throws `BadReply` where it is none, or is nested deeper than agents do. */
export function parseReply(line: Buffer): unknown {
  if (isTooDeep(line)) throw new BadReply(`its answer is nested more than ${DEPTH_LIMIT} deep`)
  try {
    return parseExact(line.toString('utf8'))
  } catch (error) {
    throw new BadReply('its answer is no JSON', error)
  }
}

/** Looked at before it is parsed: what is thrown away must not cost much. */
function isTooDeep(line: Buffer): boolean {
  let depth = 0
  let isInText = false
  for (let index = 0; index < line.length; index += 1) {
    // Within its length.
    const byte = line[index]!
    if (isInText) {
      if (byte === BACKSLASH) index += 1
      else if (byte === QUOTE) isInText = false
    } else if (byte === QUOTE) isInText = true
    else if (OPENING.has(byte)) depth += 1
    else if (CLOSING.has(byte)) depth -= 1
    if (depth > DEPTH_LIMIT) return true
  }
  return false
}
