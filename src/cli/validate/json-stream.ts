/** Part of a text, and where in it that begins. */
export interface TextPart {
  part: string
  base: number
}

/** JSON objects that stand one after the other in a text, each by itself; any other text as it is. */
export function splitJson(text: string): TextPart[] {
  if (!text.trimStart().startsWith('{')) return [{ part: text, base: 0 }]
  const parts: TextPart[] = []
  let base = 0
  let depth = 0
  let isText = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (isText) {
      if (character === '\\') at += 1
      else if (character === '"') isText = false
    } else if (character === '"') isText = true
    else if (character === '{') depth += 1
    else if (character === '}' && --depth === 0) {
      parts.push({ part: text.slice(base, at + 1), base })
      base = at + 1
    }
  }
  const rest = text.slice(base)
  // What is left is the end of a line, or a mistake that the parser names.
  return rest.trim() === '' ? parts : [...parts, { part: rest, base }]
}
