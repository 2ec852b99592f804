/** Cuts a template into text and actions. Source: the documentation of Go's `text/template`. */

/** A piece of a template: text as it stands, or what stood between `{{` and `}}`. */
export type Piece = { text: string } | { action: string; line: number }

/** One word of an action. */
export type Token =
  | { kind: 'string'; value: string }
  | { kind: 'number'; value: number }
  | { kind: 'word'; value: string }
  /** `.a.b`, or `.` alone: no names then. */
  | { kind: 'field'; names: string[] }
  /** `$`, `$name` or `$name.a.b`. */
  | { kind: 'variable'; name: string; names: string[] }
  | { kind: 'sign'; value: '(' | ')' | '|' | ':=' | '=' | ',' }

const ACTION =
  /\{\{(?<left>- )?(?<body>\s*\/\*[\s\S]*?\*\/\s*|(?:"(?:\\.|[^"\\])*"|`[^`]*`|(?!\}\})[\s\S])*?)(?<right> -)?\}\}/g

/** Throws where braces are not closed. `{{-` and `-}}` take the white space beside them away. */
export function cut(source: string, name: string): Piece[] {
  const pieces: Piece[] = []
  let end = 0
  let trims = false
  for (const match of source.matchAll(ACTION)) {
    const { left, body = '', right } = match.groups ?? {}
    pieces.push(textPiece(source.slice(end, match.index), trims, left !== undefined))
    if (!body.trim().startsWith('/*'))
      pieces.push({ action: body.trim(), line: source.slice(0, match.index).split('\n').length })
    trims = right !== undefined
    end = match.index + match[0].length
  }
  pieces.push(textPiece(source.slice(end), trims, false))
  const open = pieces.find((piece) => 'text' in piece && piece.text.includes('{{'))
  if (open) throw new Error(`${name}: an action is not closed`)
  return pieces
}

function textPiece(text: string, trimsStart: boolean, trimsEnd: boolean): Piece {
  const started = trimsStart ? text.trimStart() : text
  return { text: trimsEnd ? started.trimEnd() : started }
}

const TOKEN =
  /\s*(?:(?<string>"(?:\\.|[^"\\])*")|(?<raw>`[^`]*`)|(?<number>-?\d+(?:\.\d+)?)|(?<variable>\$\w*)(?<path>(?:\.\w+)*)|(?<field>(?:\.\w+)+|\.)|(?<word>\w+)|(?<sign>:=|[()|=,]))/y

/** The words of an action. Throws where there is something else. */
export function tokenize(action: string): Token[] {
  const tokens: Token[] = []
  TOKEN.lastIndex = 0
  const end = action.trimEnd().length
  while (TOKEN.lastIndex < end) {
    const at = TOKEN.lastIndex
    const match = TOKEN.exec(action)
    if (!match) throw new Error(`cannot read ${JSON.stringify(action.slice(at))}`)
    tokens.push(tokenOf(match.groups ?? {}))
  }
  return tokens
}

function tokenOf(groups: Record<string, string | undefined>): Token {
  const { string, raw, number, variable, path = '', field, word, sign } = groups
  if (string !== undefined) return { kind: 'string', value: JSON.parse(string) as string }
  if (raw !== undefined) return { kind: 'string', value: raw.slice(1, -1) }
  if (number !== undefined) return { kind: 'number', value: Number(number) }
  if (variable !== undefined) return { kind: 'variable', name: variable, names: namesOf(path) }
  if (field !== undefined) return { kind: 'field', names: namesOf(field) }
  if (word !== undefined) return { kind: 'word', value: word }
  // The pattern knows no other groups, and no other signs.
  return { kind: 'sign', value: sign } as Token
}

function namesOf(path: string): string[] {
  return path.split('.').filter((name) => name !== '')
}
