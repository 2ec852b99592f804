import { cut, tokenize, type Token } from './tokens.ts'

/** Something that has a value. */
export type Expression =
  | { kind: 'literal'; value: unknown }
  | { kind: 'field'; names: string[] }
  | { kind: 'variable'; name: string; names: string[] }
  | { kind: 'call'; name: string; args: Expression[] }
  /** Each is given to the next as its last argument. */
  | { kind: 'pipe'; steps: Expression[] }
  /** `(…).a.b` */
  | { kind: 'member'; of: Expression; names: string[] }

/** A part of a template. */
export type Node =
  | { kind: 'text'; text: string }
  | { kind: 'print'; value: Expression; line: number }
  | { kind: 'set'; name: string; isNew: boolean; value: Expression; line: number }
  | { kind: 'if' | 'with'; value: Expression; body: Node[]; otherwise: Node[]; line: number }
  | {
      kind: 'range'
      value: Expression
      names: string[]
      body: Node[]
      otherwise: Node[]
      line: number
    }

/** The templates that a file has: its own text, and what it defines. */
export interface Parsed {
  main: Node[]
  defined: Map<string, Node[]>
}

/** Reads a template. Throws, with the line, where it uses more of the language than this knows. */
export function parseTemplate(source: string, name: string): Parsed {
  const reader = new Reader(source, name)
  const main = reader.readUntilEnd()
  return { main, defined: reader.defined }
}

const ENDS = ['end', 'else'] as const

class Reader {
  readonly defined = new Map<string, Node[]>()
  readonly #pieces
  readonly #name: string
  #at = 0

  constructor(source: string, name: string) {
    this.#pieces = cut(source, name)
    this.#name = name
  }

  readUntilEnd(): Node[] {
    const nodes = this.#readBody()
    if (this.#at < this.#pieces.length) throw new Error(`${this.#name}: there is an end too many`)
    return nodes
  }

  /** Up to `end` or `else`, which is left for the caller. */
  #readBody(): Node[] {
    const nodes: Node[] = []
    for (let piece; (piece = this.#pieces[this.#at]) !== undefined; this.#at++) {
      if ('text' in piece) {
        if (piece.text !== '') nodes.push({ kind: 'text', text: piece.text })
        continue
      }
      const { action, line } = piece
      if (ENDS.some((word) => action === word || action.startsWith(`${word} `))) return nodes
      const node = this.#locate(line, () => this.#readAction(tokenize(action), line))
      if (node) nodes.push(node)
    }
    return nodes
  }

  #locate<T>(line: number, run: () => T): T {
    try {
      return run()
    } catch (error) {
      if (error instanceof Error && !error.message.startsWith(this.#name))
        throw new Error(`${this.#name}:${line}: ${error.message}`, { cause: error })
      throw error
    }
  }

  #readAction(tokens: Token[], line: number): Node | undefined {
    const [first, second, third] = tokens
    const word = first?.kind === 'word' ? first.value : ''
    switch (word) {
      case 'define':
        if (second?.kind !== 'string') throw new Error('define needs a name')
        this.defined.set(second.value, this.#readBlock().body)
        return undefined
      case 'if':
      case 'with':
        return { kind: word, value: readPipeline(tokens.slice(1)), ...this.#readBlock(), line }
      case 'range':
        return { kind: 'range', ...readRange(tokens.slice(1)), ...this.#readBlock(), line }
      default:
        break
    }
    if (first?.kind === 'variable' && second?.kind === 'sign' && third) {
      const isNew = second.value === ':='
      if (isNew || second.value === '=')
        return { kind: 'set', name: first.name, isNew, value: readPipeline(tokens.slice(2)), line }
    }
    return { kind: 'print', value: readPipeline(tokens), line }
  }

  #readBlock(): { body: Node[]; otherwise: Node[] } {
    this.#at++
    const body = this.#readBody()
    const piece = this.#pieces[this.#at]
    if (!piece || !('action' in piece)) throw new Error(`${this.#name}: an end is missing`)
    if (piece.action === 'end') return { body, otherwise: [] }
    if (piece.action === 'else') {
      this.#at++
      const otherwise = this.#readBody()
      if (!this.#pieces[this.#at]) throw new Error(`${this.#name}: an end is missing`)
      return { body, otherwise }
    }
    // `else if …` is an `if` of its own, and ends with it.
    const { line } = piece
    const node = this.#locate(line, () =>
      this.#readAction(tokenize(piece.action.slice('else '.length)), line),
    )
    return { body, otherwise: node ? [node] : [] }
  }
}

function readRange(tokens: Token[]): { names: string[]; value: Expression } {
  const at = tokens.findIndex((token) => token.kind === 'sign' && token.value === ':=')
  const names = tokens
    .slice(0, Math.max(at, 0))
    .filter((token) => token.kind === 'variable')
    .map(({ name }) => name)
  return { names, value: readPipeline(tokens.slice(at + 1)) }
}

/** Reads `a | b c | d`. Throws where a parenthesis is left over. */
function readPipeline(tokens: Token[]): Expression {
  const rest = [...tokens]
  const value = takePipeline(rest)
  if (rest.length > 0) throw new Error('there is a parenthesis too many')
  return value
}

function takePipeline(rest: Token[]): Expression {
  const steps = [takeCommand(rest)]
  while (isSign(rest[0], '|')) {
    rest.shift()
    steps.push(takeCommand(rest))
  }
  const [only] = steps
  return steps.length === 1 && only ? only : { kind: 'pipe', steps }
}

function takeCommand(rest: Token[]): Expression {
  const [first] = rest
  if (first?.kind === 'word' && !CONSTANTS.has(first.value)) {
    rest.shift()
    return { kind: 'call', name: first.value, args: takeOperands(rest) }
  }
  const [operand, ...more] = takeOperands(rest)
  if (!operand) throw new Error('a value is missing')
  if (more.length > 0) throw new Error('a value that is no function is given arguments')
  return operand
}

const CONSTANTS = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['nil', undefined],
])

function takeOperands(rest: Token[]): Expression[] {
  const operands: Expression[] = []
  for (let token; (token = rest[0]) && !isSign(token, '|') && !isSign(token, ')');) {
    operands.push(takeOperand(rest, token))
  }
  return operands
}

function takeOperand(rest: Token[], token: Token): Expression {
  rest.shift()
  switch (token.kind) {
    case 'string':
    case 'number':
      return { kind: 'literal', value: token.value }
    case 'field':
    case 'variable':
      return token
    case 'word':
      if (CONSTANTS.has(token.value)) return { kind: 'literal', value: CONSTANTS.get(token.value) }
      return { kind: 'call', name: token.value, args: [] }
    case 'sign':
      if (token.value === '(') return takeParenthesis(rest)
      throw new Error(`${token.value} stands in the wrong place`)
  }
}

function takeParenthesis(rest: Token[]): Expression {
  const inner = takePipeline(rest)
  if (!isSign(rest.shift(), ')')) throw new Error('a parenthesis is not closed')
  const [next] = rest
  if (next?.kind !== 'field' || next.names.length === 0) return inner
  rest.shift()
  return { kind: 'member', of: inner, names: next.names }
}

function isSign(token: Token | undefined, value: string): boolean {
  return token?.kind === 'sign' && token.value === value
}
