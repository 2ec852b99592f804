/** How Go's templates look at values. */
import { getMember, isRecord } from '../../../src/lib/json.ts'

/** Numbers of a values file are floating: Go prints them with an exponent from here on. */
const EXPONENT_FROM = 1e6

/** Whether `if` takes it for true. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (isRecord(value)) return Object.keys(value).length > 0
  return Boolean(value)
}

/** A member of a member. Throws where there is nothing to look into: Go fails there, too. */
export function memberOf(value: unknown, names: readonly string[]): unknown {
  let at = value
  for (const [index, name] of names.entries()) {
    if (at === undefined || at === null)
      throw new Error(`nil pointer evaluating ${['', ...names.slice(0, index + 1)].join('.')}`)
    if (!isRecord(at)) throw new Error(`cannot look for ${name} in a ${typeof at}`)
    at = getMember(at, name)
  }
  return at
}

/** Keys and values, those of a map in the order of the keys. */
export function membersOf(value: unknown): [unknown, unknown][] {
  if (Array.isArray(value)) return value.map((element, index) => [index, element])
  if (isRecord(value)) return Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1))
  if (value === undefined || value === null) return []
  throw new Error(`cannot range over a ${typeof value}`)
}

/** What an action prints. Throws for what would look odd: nothing, lists, maps, large numbers. */
export function format(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number' && Math.abs(value) < EXPONENT_FROM) return String(value)
  if (value === undefined || value === null) throw new Error('there is no such value to print')
  throw new Error(
    `${JSON.stringify(value)} cannot be printed as it is: use toYaml, or int64 for a large number`,
  )
}
