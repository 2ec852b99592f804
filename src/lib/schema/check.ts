import { requiredValue } from '../causes.ts'
import type { Cause } from '../errors.ts'
import { getMember, isRecord, setMember, type JsonRecord } from '../json.ts'
import type { Node, ObjectNode } from './node.ts'
import { wrongType } from './scalars.ts'

/** What a check has found. */
export interface SchemaReport {
  causes: Cause[]
  /** Places of members that the schema does not know, such as `spec.template.spec.domian`. */
  unknownFields: string[]
  /** Whether there are members that are `null`: they count as absent, and pruning removes them. */
  hasNulls: boolean
}

/** More than this of either is not told: nobody reads it, and a hostile body could hold millions. */
const LIMIT = 100

/** Checks a value against a schema. `lenient` names members of the root below which nothing is required. */
export function checkValue(node: Node, value: unknown, lenient: readonly string[] = []): SchemaReport {
  const walk = new Walk(lenient)
  walk.visit(node, value)
  return walk.report
}

/** One way through a value. */
class Walk {
  readonly report: SchemaReport = { causes: [], unknownFields: [], hasNulls: false }
  readonly #lenient: readonly string[]
  /** Where the walk is: `.name`, `[0]`, `[key]`. Joined only where something is wrong. */
  readonly #path: string[] = []
  readonly #place = (): string => this.#path.join('').replace(/^\./, '')

  constructor(lenient: readonly string[]) {
    this.#lenient = lenient
  }

  visit(node: Node, value: unknown): void {
    switch (node.kind) {
      case 'any':
        return
      case 'scalar':
        return this.#note(node.check(value, this.#place))
      case 'list':
        return Array.isArray(value) ? this.#visitList(node.items, value) : this.#refuse('array', value)
      case 'map':
        return isRecord(value) ? this.#visitMap(node.values, value) : this.#refuse('object', value)
      case 'object':
        return isRecord(value) ? this.#visitObject(node, value) : this.#refuse('object', value)
    }
  }

  #visitList(items: Node, list: unknown[]): void {
    for (let index = 0; index < list.length; index++) this.#visitAt(`[${index}]`, items, list[index])
  }

  #visitMap(values: Node, map: JsonRecord): void {
    for (const key of Object.keys(map)) this.#visitMember(`[${key}]`, values, map[key])
  }

  #visitObject({ members, required, isOpen }: ObjectNode, object: JsonRecord): void {
    for (const name of Object.keys(object)) {
      const member = members.get(name)
      if (member) this.#visitMember(`.${name}`, member, object[name])
      else if (!isOpen) this.#noteUnknown(name)
    }
    for (const name of required) {
      if (getMember(object, name) === undefined || object[name] === null) this.#noteMissing(name)
    }
  }

  #visitMember(step: string, node: Node, value: unknown): void {
    if (value === null) this.report.hasNulls ||= node.kind !== 'any'
    else this.#visitAt(step, node, value)
  }

  #visitAt(step: string, node: Node, value: unknown): void {
    this.#path.push(step)
    this.visit(node, value)
    this.#path.pop()
  }

  #refuse(expected: string, value: unknown): void {
    this.#note(wrongType(this.#place(), expected, value))
  }

  #note(cause: Cause | undefined): void {
    if (cause && this.report.causes.length < LIMIT) this.report.causes.push(cause)
  }

  #noteUnknown(name: string): void {
    const { unknownFields } = this.report
    if (unknownFields.length < LIMIT)
      unknownFields.push([...this.#path, `.${name}`].join('').replace(/^\./, ''))
  }

  #noteMissing(name: string): void {
    const [root = `.${name}`] = this.#path
    if (this.#lenient.includes(root.slice(1))) return
    this.#note(requiredValue([...this.#path, `.${name}`].join('').replace(/^\./, ''), 'Required value'))
  }
}

/** A copy without members that the schema does not know and those that are `null`. What fits no schema is kept. */
export function pruneValue(node: Node, value: unknown): unknown {
  if (node.kind === 'list' && Array.isArray(value)) {
    return value.map((element) => pruneValue(node.items, element))
  }
  if (node.kind === 'map' && isRecord(value)) return pruneMembers(value, () => node.values)
  if (node.kind === 'object' && isRecord(value)) {
    return pruneMembers(value, (name) => node.members.get(name) ?? keep(node))
  }
  return value
}

const ANY: Node = { kind: 'any' }

function keep({ isOpen }: ObjectNode): Node | undefined {
  return isOpen ? ANY : undefined
}

function pruneMembers(object: JsonRecord, nodeOf: (name: string) => Node | undefined): JsonRecord {
  const pruned: JsonRecord = {}
  for (const name of Object.keys(object)) {
    const node = nodeOf(name)
    const value = object[name]
    if (node && (value !== null || node.kind === 'any')) setMember(pruned, name, pruneValue(node, value))
  }
  return pruned
}
