/**
 * Whether a name matches a pattern of Go's `path.Match`: `*`, `?`, `[a-z]`, `[^a]` and `\` escapes, none of which
 * matches `/`. A malformed pattern matches nothing. Contract: PRIM-009.
 */
export function matchesGlob(pattern: string, name: string): boolean {
  // Most are the beginning of a name.
  if (PREFIX.test(pattern)) {
    const prefix = pattern.slice(0, -1)
    return name.startsWith(prefix) && !name.includes('/', prefix.length)
  }
  const expression = toExpression(pattern)
  return expression !== undefined && expression.test(name)
}

const PREFIX = /^[^*?[\]\\]*\*$/
const TOKEN = /\*|\?|\[(\^?)((?:\\.|[^\\\]])+)\]|\\(.)|([^\\[\]*?])/gsy

function toExpression(pattern: string): RegExp | undefined {
  let source = ''
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < pattern.length) {
    const match = TOKEN.exec(pattern)
    if (!match) return undefined
    const [token, negated = '', members, escaped, plain] = match
    if (token === '*') source += '[^/]*'
    else if (token === '?') source += '[^/]'
    else if (members !== undefined) source += `(?!/)[${negated}${members.replaceAll(/(?<!\\)\[/g, '\\[')}]`
    else source += (escaped ?? plain ?? '').replaceAll(/[$()*+.?[\\\]^{|}/-]/g, '\\$&')
  }
  try {
    return new RegExp(`^${source}$`, 's')
  } catch {
    // A range that runs backwards.
    return undefined
  }
}
