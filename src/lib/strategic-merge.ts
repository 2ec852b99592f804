/**
 * Strategic merge patches: merge patches that know which lists are sets and which are maps by a key.
 * Source: "Strategic Merge Patch" in the Kubernetes community's API conventions.
 */
import { getMember, isRecord, isSameJson, setMember, type JsonRecord } from './json.ts'

/** How the lists in an object are merged. Lists that are not named are replaced. */
export interface MergeSchema {
  /** Member name → how it is merged. `*` stands for every name. */
  members?: Record<string, MergeSchema>
  /** A list of objects, each known by this member. */
  mergeKey?: string
  /** A list of plain values without order. */
  isSet?: boolean
  /** How an element of the list is merged. */
  element?: MergeSchema
}

/** The patch contradicts itself or misses a key. */
export class StrategicMergeError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'StrategicMergeError'
  }
}

const PATCH = '$patch'
const RETAIN_KEYS = '$retainKeys'
const SET_ORDER = '$setElementOrder/'
const DELETE_PRIMITIVES = '$deleteFromPrimitiveList/'

/** The object that a strategic merge patch makes of `target`, which stays as it was. Throws `StrategicMergeError`. */
export function applyStrategicMerge(target: JsonRecord, patch: JsonRecord, schema: MergeSchema): JsonRecord {
  return mergeObjects(structuredClone(target), patch, schema)
}

function mergeObjects(target: JsonRecord, patch: JsonRecord, schema: MergeSchema): JsonRecord {
  const directive = patch[PATCH]
  if (directive === 'replace') return withoutDirectives(patch)
  if (directive === 'delete') return {}
  if (directive !== undefined && directive !== 'merge') throw unknownDirective(directive)
  const retained = retainKeys(target, patch)
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith(DELETE_PRIMITIVES))
      deletePrimitives(retained, name.slice(DELETE_PRIMITIVES.length), value)
    else if (!isDirective(name)) mergeMember(retained, name, value, patch, memberSchema(schema, name))
  }
  orderUntouchedLists(retained, patch, schema)
  return retained
}

function unknownDirective(directive: unknown): StrategicMergeError {
  return new StrategicMergeError(
    `unknown ${PATCH} ${JSON.stringify(directive)}: use merge, replace or delete`,
  )
}

function isDirective(name: string): boolean {
  return (
    name === PATCH || name === RETAIN_KEYS || name.startsWith(SET_ORDER) || name.startsWith(DELETE_PRIMITIVES)
  )
}

function memberSchema(schema: MergeSchema, name: string): MergeSchema {
  const { members = {} } = schema
  return (Object.hasOwn(members, name) ? members[name] : members['*']) ?? {}
}

function withoutDirectives(value: JsonRecord): JsonRecord {
  return Object.fromEntries(
    Object.entries(value).filter(([name, member]) => !isDirective(name) && member !== null),
  )
}

/** Drops what `$retainKeys` does not name. */
function retainKeys(target: JsonRecord, patch: JsonRecord): JsonRecord {
  const keys = patch[RETAIN_KEYS]
  if (keys === undefined) return target
  if (!Array.isArray(keys)) throw new StrategicMergeError(`${RETAIN_KEYS} must be a list of member names`)
  const surplus = Object.entries(patch).find(
    ([name, value]) => !isDirective(name) && value !== null && !keys.includes(name),
  )
  if (surplus) throw new StrategicMergeError(`${surplus[0]} is in the patch but not in its ${RETAIN_KEYS}`)
  return Object.fromEntries(Object.entries(target).filter(([name]) => keys.includes(name)))
}

function mergeMember(
  target: JsonRecord,
  name: string,
  value: unknown,
  patch: JsonRecord,
  schema: MergeSchema,
): void {
  const present = getMember(target, name)
  if (value === null) delete target[name]
  else if (isRecord(value)) {
    const merged = mergeObjects(isRecord(present) ? present : {}, value, schema)
    if (value[PATCH] === 'delete') delete target[name]
    else setMember(target, name, merged)
  } else if (Array.isArray(value)) {
    const list = mergeLists(Array.isArray(present) ? present : [], value, schema)
    setMember(target, name, orderList(list, patch[SET_ORDER + name], schema))
  } else setMember(target, name, value)
}

function mergeLists(target: unknown[], patch: unknown[], schema: MergeSchema): unknown[] {
  if (schema.mergeKey !== undefined) return mergeKeyed(target, patch, schema.mergeKey, schema.element ?? {})
  if (schema.isSet) return [...target, ...patch.filter((value) => !target.includes(value))]
  return patch.filter((element) => !(isRecord(element) && PATCH in element))
}

function mergeKeyed(target: unknown[], patch: unknown[], key: string, schema: MergeSchema): unknown[] {
  const replaces = patch.some(
    (element) => isRecord(element) && element[PATCH] === 'replace' && !(key in element),
  )
  let result = replaces ? [] : [...target]
  for (const element of patch) {
    if (!isRecord(element))
      throw new StrategicMergeError(`an element of a list merged by ${key} must be an object`)
    if (element[PATCH] === 'replace' && !(key in element)) continue
    const id = element[key]
    if (id === undefined) throw new StrategicMergeError(`an element of a list merged by ${key} has no ${key}`)
    result = mergeElement(result, element, (other) => isRecord(other) && isSameJson(other[key], id), schema)
  }
  return result
}

function mergeElement(
  list: unknown[],
  element: JsonRecord,
  isIt: (other: unknown) => boolean,
  schema: MergeSchema,
): unknown[] {
  if (element[PATCH] === 'delete') return list.filter((other) => !isIt(other))
  const present = list.find(isIt)
  const merged = mergeObjects(isRecord(present) ? present : {}, element, schema)
  return present === undefined ? [...list, merged] : list.map((other) => (isIt(other) ? merged : other))
}

function deletePrimitives(target: JsonRecord, name: string, values: unknown): void {
  if (!Array.isArray(values)) throw new StrategicMergeError(`${DELETE_PRIMITIVES}${name} must be a list`)
  const present = getMember(target, name)
  if (Array.isArray(present))
    setMember(
      target,
      name,
      present.filter((value) => !values.includes(value)),
    )
}

function orderUntouchedLists(target: JsonRecord, patch: JsonRecord, schema: MergeSchema): void {
  for (const [directive, order] of Object.entries(patch)) {
    if (!directive.startsWith(SET_ORDER)) continue
    const name = directive.slice(SET_ORDER.length)
    const list = getMember(target, name)
    if (!(name in patch) && Array.isArray(list))
      setMember(target, name, orderList(list, order, memberSchema(schema, name)))
  }
}

/** Puts elements in the order the patch wants; one it does not know stays behind the one before it. */
function orderList(list: unknown[], order: unknown, { mergeKey, isSet }: MergeSchema): unknown[] {
  if (!Array.isArray(order) || (mergeKey === undefined && !isSet)) return list
  const idOf = (element: unknown) =>
    mergeKey !== undefined && isRecord(element) ? element[mergeKey] : element
  const places = order.map(idOf)
  const known = list.filter((element) => places.includes(idOf(element)))
  known.sort((left, right) => places.indexOf(idOf(left)) - places.indexOf(idOf(right)))
  for (const [position, element] of list.entries()) {
    if (places.includes(idOf(element))) continue
    const before = position === 0 ? -1 : known.indexOf(list[position - 1])
    known.splice(before + 1, 0, element)
  }
  return known
}
