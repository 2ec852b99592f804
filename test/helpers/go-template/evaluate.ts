import { format, isTrue, membersOf, memberOf } from './values.ts'
import type { Expression, Node } from './parse.ts'

/** A function that templates may call. */
export type TemplateFunction = (...args: unknown[]) => unknown

/** What a template is evaluated with. */
export interface Environment {
  functions: Record<string, TemplateFunction>
  /** Where mistakes are said to be. */
  name: string
}

/** The text of a template for the value `.`. Throws, with the line, what is wrong. */
export function evaluate(nodes: readonly Node[], dot: unknown, environment: Environment): string {
  return new Evaluation(environment).run(nodes, dot, new Scope(new Map([['$', dot]])))
}

/** Variables, those of enclosing blocks included. */
class Scope {
  readonly #own: Map<string, unknown>
  readonly #outer: Scope | undefined

  constructor(own: Map<string, unknown>, outer?: Scope) {
    this.#own = own
    this.#outer = outer
  }

  inner(names: Map<string, unknown> = new Map()): Scope {
    return new Scope(names, this)
  }

  get(name: string): unknown {
    return this.#holder(name).#own.get(name)
  }

  set(name: string, value: unknown, isNew: boolean): void {
    ;(isNew ? this : this.#holder(name)).#own.set(name, value)
  }

  #holder(name: string): Scope {
    if (this.#own.has(name)) return this
    if (!this.#outer) throw new Error(`the variable ${name} is not defined`)
    return this.#outer.#holder(name)
  }
}

class Evaluation {
  readonly #environment: Environment

  constructor(environment: Environment) {
    this.#environment = environment
  }

  run(nodes: readonly Node[], dot: unknown, scope: Scope): string {
    return nodes.map((node) => this.#runNode(node, dot, scope)).join('')
  }

  #runNode(node: Node, dot: unknown, scope: Scope): string {
    if (node.kind === 'text') return node.text
    try {
      return this.#runAction(node, dot, scope)
    } catch (error) {
      if (!(error instanceof Error) || error instanceof TemplateError) throw error
      throw new TemplateError(`${this.#environment.name}:${node.line}: ${error.message}`, { cause: error })
    }
  }

  #runAction(node: Exclude<Node, { kind: 'text' }>, dot: unknown, scope: Scope): string {
    const value = this.#value(node.value, dot, scope)
    switch (node.kind) {
      case 'print':
        return format(value)
      case 'set':
        scope.set(node.name, value, node.isNew)
        return ''
      case 'if':
        return this.run(isTrue(value) ? node.body : node.otherwise, dot, scope.inner())
      case 'with':
        if (isTrue(value)) return this.run(node.body, value, scope.inner())
        return this.run(node.otherwise, dot, scope.inner())
      case 'range': {
        const members = membersOf(value)
        if (members.length === 0) return this.run(node.otherwise, dot, scope.inner())
        return members
          .map((member) => this.run(node.body, member[1], scope.inner(bind(node.names, member))))
          .join('')
      }
    }
  }

  #value(expression: Expression, dot: unknown, scope: Scope): unknown {
    switch (expression.kind) {
      case 'literal':
        return expression.value
      case 'field':
        return memberOf(dot, expression.names)
      case 'variable':
        return memberOf(scope.get(expression.name), expression.names)
      case 'member':
        return memberOf(this.#value(expression.of, dot, scope), expression.names)
      case 'call':
        return this.#call(expression.name, expression.args, dot, scope)
      case 'pipe':
        return this.#pipe(expression.steps, dot, scope)
    }
  }

  #pipe([first, ...steps]: readonly Expression[], dot: unknown, scope: Scope): unknown {
    if (!first) throw new Error('a value is missing')
    let value = this.#value(first, dot, scope)
    for (const step of steps) {
      if (step.kind !== 'call') throw new Error('what follows | is no function')
      value = this.#call(step.name, [...step.args, { kind: 'literal', value }], dot, scope)
    }
    return value
  }

  #call(name: string, args: readonly Expression[], dot: unknown, scope: Scope): unknown {
    // They do not look at the rest once they know.
    if (name === 'and' || name === 'or') {
      let value: unknown
      for (const arg of args) {
        value = this.#value(arg, dot, scope)
        if (isTrue(value) === (name === 'or')) return value
      }
      return value
    }
    const [first, ...rest] = args.map((arg) => this.#value(arg, dot, scope))
    const run = this.#environment.functions[name]
    if (!run) throw new Error(`there is no function ${name}: keep templates plain, or add it to the renderer`)
    return run(...(args.length === 0 ? [] : [first, ...rest]))
  }
}

/** A mistake, with its place. */
export class TemplateError extends Error {}

/** `range $value := …` or `range $key, $value := …`. */
function bind(names: readonly string[], [key, value]: [unknown, unknown]): Map<string, unknown> {
  const [one, two] = names
  if (one === undefined) return new Map()
  return two === undefined
    ? new Map([[one, value]])
    : new Map([
        [one, key],
        [two, value],
      ])
}
