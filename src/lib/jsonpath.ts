/**
 * The part of JSONPath that columns of `kubectl get` use: `.a.b`, `['a.b']`, `[0]`, `[-1]`, `[*]`, `[?(@.a=='b')]`.
 * Source: "JSONPath Support" in the kubectl reference.
 */
import { getMember, isRecord } from './json.ts'

/** A path cannot be read; the message says where. */
export class JsonPathError extends Error {
  constructor(path: string, offset: number) {
    super(`cannot read the JSONPath ${JSON.stringify(path)} at ${JSON.stringify(path.slice(offset))}`)
    this.name = 'JsonPathError'
  }
}

/** One step from the values so far to those below them. */
type Step = (value: unknown) => readonly unknown[]

/** A path that has been read. */
export type JsonPath = readonly Step[]

const MEMBER = /\.((?:[^.[\]\\'"(){}]|\\.)+)/y
const QUOTED = /\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]/y
const INDEX = /\[(-?\d+)\]/y
const ALL = /\[\*\]|\.\*/y
const FILTER =
  /\[\?\(\s*@((?:\.(?:[^.[\]\\'"(){}\s=!]|\\.)+|\['[^']*'\])+)\s*(==|!=)\s*('[^']*'|"[^"]*"|[^\s)]+)\s*\)\]/y

/** Reads a path such as `.status.conditions[?(@.type=='Ready')].status`. Throws `JsonPathError`. */
export function parseJsonPath(text: string): JsonPath {
  const inner = /^\{(.*)\}$/s.exec(text)?.[1] ?? text
  const path = inner.startsWith('$') ? inner.slice(1) : inner
  const steps: Step[] = []
  let offset = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = offset
    const match = pattern.exec(path)
    if (match) offset += match[0].length
    return match
  }
  while (offset < path.length) steps.push(readStep(take, () => new JsonPathError(text, offset)))
  return steps
}

function readStep(take: (pattern: RegExp) => RegExpExecArray | null, fail: () => JsonPathError): Step {
  if (take(ALL)) return all
  const member = take(MEMBER)
  if (member) return memberStep(unescape(member[1] ?? ''))
  const quoted = take(QUOTED)
  if (quoted) return memberStep(unescape(quoted[1] ?? quoted[2] ?? ''))
  const index = take(INDEX)
  if (index) return indexStep(Number(index[1]))
  const filter = take(FILTER)
  if (filter)
    return filterStep(parseJsonPath(filter[1] ?? ''), filter[2] === '==', readLiteral(filter[3] ?? ''))
  throw fail()
}

function unescape(name: string): string {
  return name.replaceAll(/\\(.)/gs, '$1')
}

function readLiteral(text: string): unknown {
  if (/^['"]/.test(text)) return text.slice(1, -1)
  if (text === 'true' || text === 'false') return text === 'true'
  const number = Number(text)
  return Number.isNaN(number) ? text : number
}

const all: Step = (value) => {
  if (Array.isArray(value)) return value
  return isRecord(value) ? Object.values(value) : []
}

function memberStep(name: string): Step {
  return (value) => {
    const member = isRecord(value) ? getMember(value, name) : undefined
    return member === undefined ? [] : [member]
  }
}

function indexStep(index: number): Step {
  return (value) => {
    const element: unknown = Array.isArray(value) ? value.at(index) : undefined
    return element === undefined ? [] : [element]
  }
}

function filterStep(path: JsonPath, wanted: boolean, literal: unknown): Step {
  return (value) => {
    if (!Array.isArray(value)) return []
    return value.filter((element) => {
      const found = findAll(path, element)
      // An element without the member matches neither, as in kubectl.
      return found.length > 0 && (found[0] === literal) === wanted
    })
  }
}

/** Everything the path leads to; nothing where a member is missing. */
export function findAll(path: JsonPath, value: unknown): readonly unknown[] {
  let values: readonly unknown[] = [value]
  for (const step of path) {
    if (values.length === 0) return values
    const [only] = values
    values = values.length === 1 ? step(only) : values.flatMap(step)
  }
  return values
}

/** The first value the path leads to, if any: what a column shows. */
export function findFirst(path: JsonPath, value: unknown): unknown {
  return findAll(path, value)[0]
}
