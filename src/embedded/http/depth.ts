import { badRequest } from '../../lib/errors.ts'

/** Levels a body may have. No object of this API comes near; without a limit a few bytes exhaust the stack. */
const DEPTH_LIMIT = 500

const [QUOTE, BACKSLASH] = [0x22, 0x5c]
const OPENING = new Set([0x5b, 0x7b])
const CLOSING = new Set([0x5d, 0x7d])

/** Throws 400 where JSON text is nested too deeply. */
export function checkDepth(text: string): void {
  let depth = 0
  let isInString = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (isInString) {
      if (code === BACKSLASH) index++
      else if (code === QUOTE) isInString = false
    } else if (code === QUOTE) isInString = true
    else if (OPENING.has(code)) depth++
    else if (CLOSING.has(code)) depth--
    if (depth > DEPTH_LIMIT) throw badRequest(`the body is nested more than ${DEPTH_LIMIT} levels deep`)
  }
}
