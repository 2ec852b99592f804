/** The schema step: whether a value has the shape of its type. Contract: ADM-SCH-010 … 022. */
import { formatExact } from '../../lib/exact-json.ts'
import { isRecord } from '../../lib/json.ts'
import { typeNamed, type ObjectType, type Scalar, type Type } from './parse.ts'

/** How a value is held against its type. */
export interface ShapeOptions {
  /** Members that the type does not know are taken, at every depth: of a status. */
  isOpen: boolean
}

/** Sentences are told once, and not without end: a hostile body could hold millions of mistakes. */
const LIMIT = 100
/** Ignored everywhere. Contract: ADM-SCH-016. */
const IGNORED = new Set(['$schema', 'id'])

/** What is wrong with the shape of `value`, in sentences that name the place; empty where it fits. */
export function shapeFaults(typeName: string, value: unknown, at: string, options: ShapeOptions): string[] {
  const walk = new Walk(options.isOpen)
  walk.visit(typeNamed(typeName), value, at)
  return [...walk.faults]
}

class Walk {
  readonly faults = new Set<string>()
  readonly #isOpen: boolean

  constructor(isOpen: boolean) {
    this.#isOpen = isOpen
  }

  visit(type: Type, value: unknown, at: string): void {
    switch (type.kind) {
      case 'scalar':
        return this.#visitScalar(type.scalar, type.words, value, at)
      case 'list':
        if (!Array.isArray(value)) return this.#wrong(at, 'a list', value)
        for (let index = 0; index < value.length; index++)
          this.visit(type.items, value[index], `${at}[${index}]`)
        return
      case 'map':
        if (!isRecord(value)) return this.#wrong(at, 'an object', value)
        for (const key of Object.keys(value)) this.visit(type.values, value[key], `${at}[${key}]`)
        return
      case 'object':
        return isRecord(value) ? this.#visitObject(type, value, at) : this.#wrong(at, 'an object', value)
    }
  }

  #visitObject(type: ObjectType, value: Record<string, unknown>, at: string): void {
    for (const name of Object.keys(value)) {
      const member = type.members.get(name)
      if (!member) {
        if (!this.#isOpen && !IGNORED.has(name))
          this.#note(`${at}.${name} is no field: remove it, or mend its name`)
      } else if (value[name] !== null || !mayBeNull(type, name)) {
        this.visit(member.type, value[name], `${at}.${name}`)
      }
    }
    for (const name of type.required) {
      if (!Object.hasOwn(value, name)) this.#note(`${at}.${name} is required`)
    }
  }

  #visitScalar(scalar: Scalar, words: ReadonlySet<string> | undefined, value: unknown, at: string): void {
    if (!FITS_SHAPE[scalar](value)) return this.#wrong(at, NAMES[scalar], value)
    // A scalar with words is a text.
    if (words && !words.has(value as string)) {
      this.#note(`${at} is ${quote(value)} and must be one of ${[...words].join(', ')}`)
    }
  }

  #wrong(at: string, expected: string, value: unknown): void {
    this.#note(`${at} must be ${expected} and is ${quote(value)}`)
  }

  #note(fault: string): void {
    if (this.faults.size < LIMIT) this.faults.add(fault)
  }
}

/** Whether a member may be `null`. Contract: ADM-SCH-010. */
export function mayBeNull({ name: type }: ObjectType, name: string): boolean {
  if (name === 'creationTimestamp') return type === 'meta.ObjectMeta'
  if (name === 'lastProbeTime' || name === 'lastTransitionTime') return type.endsWith('Condition')
  return name === 'status' && type === 'DataVolumeTemplateSpec'
}

const isText = (value: unknown): boolean => typeof value === 'string'
const isWhole = (value: unknown): boolean => Number.isInteger(value) || typeof value === 'bigint'
const isNumber = (value: unknown): boolean => typeof value === 'number' || typeof value === 'bigint'
const isMoment = (value: unknown): boolean =>
  typeof value === 'string' &&
  /^\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d)?([.,]\d+)?([Zz]|[+-]\d\d:?\d\d)?)?$/.test(value)

/** Whether a value has the shape of a scalar. */
export const FITS_SHAPE: Record<Scalar, (value: unknown) => boolean> = {
  str: isText,
  bool: (value) => typeof value === 'boolean',
  i32: isWhole,
  int64: isWhole,
  u32: isWhole,
  u64: isWhole,
  qty: (value) => isText(value) || isNumber(value),
  time: isMoment,
  duration: isText,
  intstr: (value) => isText(value) || isNumber(value),
  obj: (value) => isRecord(value) && Object.keys(value).every((name) => IGNORED.has(name)),
}

const NAMES: Record<Scalar, string> = {
  str: 'a text',
  bool: 'true or false',
  i32: 'a whole number',
  int64: 'a whole number',
  u32: 'a whole number',
  u64: 'a whole number',
  qty: 'a quantity such as 512Mi',
  time: 'a date and time (RFC 3339)',
  duration: 'a duration such as 5m0s',
  intstr: 'a number or a text',
  obj: 'an empty object',
}

function quote(value: unknown): string {
  const text = formatExact(value) ?? 'absent'
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
