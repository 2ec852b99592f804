/**
 * Whether an expression of the Common Expression Language can be read, and speaks of variables that there are. Types of
 * members are not known here. Source: "Syntax" in the CEL language definition.
 */
import { CelSyntaxError, tokenizeCel, type CelToken } from './cel-tokens.ts'

/** What an expression is to answer with: `bool`, or an object of a type. */
export type CelType = string

/** What an expression answers with, as far as it can be seen; `any` where it cannot. */
type Seen = { is: 'any' } | { is: 'type'; name: string }

const ANY: Seen = { is: 'any' }
const BOOL: Seen = { is: 'type', name: 'bool' }
const typeOf = (name: string): Seen => ({ is: 'type', name })

const DEPTH_LIMIT = 100
const LENGTH_LIMIT = 16_384
const RESERVED = new Set(
  'as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
)
/** Calls that bring a variable of their own: of the list they are called on. */
const COMPREHENSIONS = new Set(['all', 'exists', 'exists_one', 'map', 'filter'])
/** Names of types, which may stand for themselves. */
const TYPES = new Set(
  'int uint double bool string bytes list map null_type type google optional math strings lists cel'.split(
    ' ',
  ),
)
const RELATIONS = ['<', '<=', '>=', '>', '==', '!=', 'in']

/** What is wrong with an expression, in a sentence; `undefined` where nothing is to be seen. */
export function checkCel(
  expression: string,
  variables: readonly string[],
  wanted: CelType,
): string | undefined {
  if (expression.length > LENGTH_LIMIT) return `the expression is longer than ${LENGTH_LIMIT} characters`
  try {
    const seen = new Parser(tokenizeCel(expression), new Set(variables)).parse()
    const isOther = seen.is === 'type' && seen.name !== wanted && !seen.name.endsWith(`.${wanted}`)
    return isOther ? `the expression is a ${seen.name} and must be a ${wanted}` : undefined
  } catch (error) {
    if (!(error instanceof CelSyntaxError)) throw error
    return `the expression cannot be read: ${error.message}`
  }
}

/** Goes through the words of an expression by the grammar, one method to a rule. */
class Parser {
  readonly #tokens: readonly CelToken[]
  readonly #variables: Set<string>
  #position = 0
  #depth = 0

  constructor(tokens: readonly CelToken[], variables: Set<string>) {
    this.#tokens = tokens
    this.#variables = variables
  }

  parse(): Seen {
    const seen = this.#expression()
    if (this.#now.kind !== 'end') throw this.#unexpected()
    return seen
  }

  get #now(): CelToken {
    const last = this.#tokens.at(-1) ?? { kind: 'end', text: '', at: 0 }
    return this.#tokens[this.#position] ?? last
  }

  #unexpected(): CelSyntaxError {
    const { kind, text, at } = this.#now
    return new CelSyntaxError(kind === 'end' ? 'it ends too early' : `"${text}" is not expected`, at)
  }

  #is(text: string): boolean {
    const { kind } = this.#now
    return (kind === 'operator' || kind === 'name') && this.#now.text === text
  }

  #take(text: string): boolean {
    if (!this.#is(text)) return false
    this.#position += 1
    return true
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw this.#unexpected()
  }

  #expression(): Seen {
    this.#depth += 1
    if (this.#depth > DEPTH_LIMIT) throw new CelSyntaxError('it is nested too deeply', this.#now.at)
    const condition = this.#chain(['||'], () => this.#chain(['&&'], () => this.#relation()))
    let seen = condition
    if (this.#take('?')) {
      const first = this.#expression()
      this.#expect(':')
      const second = this.#expression()
      seen = first.is === 'any' ? second : first
    }
    this.#depth -= 1
    return seen
  }

  #chain(operators: readonly string[], next: () => Seen): Seen {
    let seen = next()
    while (operators.some((operator) => this.#take(operator))) {
      next()
      seen = BOOL
    }
    return seen
  }

  #relation(): Seen {
    return this.#chain(RELATIONS, () => this.#sum())
  }

  #sum(): Seen {
    let seen = this.#product()
    while (this.#take('+') || this.#take('-')) {
      const other = this.#product()
      if (seen.is === 'any') seen = other
    }
    return seen
  }

  #product(): Seen {
    let seen = this.#unary()
    while (['*', '/', '%'].some((operator) => this.#take(operator))) {
      const other = this.#unary()
      if (seen.is === 'any') seen = other
    }
    return seen
  }

  #unary(): Seen {
    if (this.#is('!')) {
      while (this.#take('!')) continue
      this.#member()
      return BOOL
    }
    while (this.#take('-')) continue
    return this.#member()
  }

  #member(): Seen {
    let seen = this.#primary()
    for (;;) {
      if (this.#take('.')) {
        this.#take('?')
        seen = this.#select()
      } else if (this.#take('[')) {
        this.#take('?')
        this.#expression()
        this.#expect(']')
        seen = ANY
      } else return seen
    }
  }

  #select(): Seen {
    const { kind, text } = this.#now
    if (kind !== 'name') throw this.#unexpected()
    this.#position += 1
    if (this.#take('(')) this.#arguments(COMPREHENSIONS.has(text))
    else if (this.#take('{')) return this.#fields(text)
    return ANY
  }

  /** Of a comprehension, the first is a name that the others may speak of. */
  #arguments(bringsName: boolean): void {
    const { kind, text } = this.#now
    const brought = bringsName && kind === 'name' && !this.#variables.has(text) ? text : undefined
    if (brought !== undefined) this.#variables.add(brought)
    this.#listUntil(')')
    if (brought !== undefined) this.#variables.delete(brought)
  }

  #listUntil(end: string): void {
    while (!this.#take(end)) {
      this.#expression()
      if (this.#take(',')) continue
      this.#expect(end)
      return
    }
  }

  #fields(name: string): Seen {
    while (!this.#take('}')) {
      this.#take('?')
      if (this.#now.kind !== 'name') throw this.#unexpected()
      this.#position += 1
      this.#expect(':')
      this.#expression()
      if (this.#take(',')) continue
      this.#expect('}')
      break
    }
    return typeOf(name)
  }

  #primary(): Seen {
    const { kind, text, at } = this.#now
    switch (kind) {
      case 'number':
        this.#position += 1
        return typeOf(/^0x|^\d+u?$/i.test(text) ? 'number' : 'double')
      case 'text':
      case 'bytes':
        this.#position += 1
        return typeOf(kind === 'text' ? 'string' : 'bytes')
      case 'name':
        return this.#name(text, at)
      default:
        return this.#group()
    }
  }

  #group(): Seen {
    if (this.#take('(')) {
      const seen = this.#expression()
      this.#expect(')')
      return seen
    }
    if (this.#take('[')) {
      this.#listUntil(']')
      return typeOf('list')
    }
    if (this.#take('{')) return this.#map()
    if (this.#take('.') && this.#now.kind === 'name') return this.#name(this.#now.text, this.#now.at)
    throw this.#unexpected()
  }

  #map(): Seen {
    while (!this.#take('}')) {
      this.#take('?')
      this.#expression()
      this.#expect(':')
      this.#expression()
      if (this.#take(',')) continue
      this.#expect('}')
      break
    }
    return typeOf('map')
  }

  #name(name: string, at: number): Seen {
    this.#position += 1
    if (name === 'true' || name === 'false') return BOOL
    if (name === 'null') return typeOf('null')
    if (RESERVED.has(name) || name === 'in') throw new CelSyntaxError(`"${name}" is not expected`, at)
    if (this.#take('(')) {
      this.#arguments(false)
      return name === 'has' ? BOOL : ANY
    }
    if (this.#is('{')) {
      this.#position += 1
      return this.#fields(name)
    }
    if (this.#variables.has(name) || TYPES.has(name) || this.#isTypeName()) return ANY
    throw new CelSyntaxError(`there is no "${name}": use ${[...this.#variables].join(', ')}`, at)
  }

  /** Whether a name with dots ends in `{`, as the name of a type in a package does. */
  #isTypeName(): boolean {
    let at = this.#position
    while (this.#tokens[at]?.text === '.' && this.#tokens[at + 1]?.kind === 'name') at += 2
    return at > this.#position && this.#tokens[at]?.text === '{'
  }
}
