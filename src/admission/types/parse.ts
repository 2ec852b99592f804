import { CATALOGUE } from './catalogue.ts'

/** What a scalar is. Contract: admission-schema.md, legend. */
export type Scalar =
  | 'str'
  | 'bool'
  | 'i32'
  | 'int64'
  | 'u32'
  | 'u64'
  | 'qty'
  | 'time'
  | 'duration'
  | 'intstr'
  | 'obj'

/** A type of the catalogue. */
export type Type =
  | { kind: 'scalar'; scalar: Scalar; words?: ReadonlySet<string> }
  | { kind: 'list'; items: Type }
  | { kind: 'map'; values: Type }
  | ObjectType

/** An object whose members are known. */
export interface ObjectType {
  kind: 'object'
  name: string
  members: ReadonlyMap<string, Member>
  /** The same by their names in lower case: a decoder takes other spellings. */
  lowered: ReadonlyMap<string, Member>
  required: readonly string[]
  /** Members that are objects and always there. */
  parts: ReadonlyMap<string, ObjectType>
  /** Members that are texts and always there. */
  texts: readonly string[]
  /** Members that are written where they are absent. */
  always: readonly Member[]
}

/** A member of an object. */
export interface Member {
  name: string
  type: Type
  /** Written even where it is empty. */
  always: boolean
  /** Absent and empty are different things: it is written where it is there. */
  keepsZero: boolean
}

const SCALARS: ReadonlySet<string> = new Set([
  'str',
  'bool',
  'i32',
  'int64',
  'u32',
  'u64',
  'qty',
  'time',
  'duration',
  'intstr',
  'obj',
])

let lines: Map<string, string> | undefined
const known = new Map<string, ObjectType>()

/** The type of that name. Throws `Error` for one the catalogue does not have: a mistake of the caller's. */
export function typeNamed(name: string): ObjectType {
  const present = known.get(name)
  if (present) return present
  lines ??= new Map(
    CATALOGUE.trim()
      .split('\n')
      .map((line) => {
        const [first = '', ...rest] = line.split(' ')
        return [first, rest.join(' ')]
      }),
  )
  const line = lines.get(name)
  if (line === undefined) throw new Error(`the catalogue has no type ${name}`)
  const members = new Map<string, Member>()
  const lowered = new Map<string, Member>()
  const required: string[] = []
  // Known before its members are read: types may contain themselves.
  const parts = new Map<string, ObjectType>()
  const texts: string[] = []
  const always: Member[] = []
  const type: ObjectType = { kind: 'object', name, members, lowered, required, parts, texts, always }
  known.set(name, type)
  for (const text of line === '' ? [] : line.split(', ')) {
    const { member, isRequired } = parseMember(text)
    members.set(member.name, member)
    lowered.set(member.name.toLowerCase(), member)
    if (isRequired) required.push(member.name)
    if (member.always && !member.keepsZero) always.push(member)
    if (member.type.kind === 'scalar' && member.type.scalar === 'str' && member.always && !member.keepsZero) {
      texts.push(member.name)
    }
    if (member.type.kind === 'object' && !member.keepsZero) parts.set(member.name, member.type)
  }
  return type
}

function parseMember(text: string): { member: Member; isRequired: boolean } {
  const match = /^([\w$]+)([!*]*):(.+)$/.exec(text)
  if (!match) throw new Error(`the catalogue has a member that is none: ${text}`)
  const [, name = '', flags = '', rest = ''] = match
  const { type, keepsZero } = parseType(rest)
  return {
    member: { name, type, always: flags.includes('*'), keepsZero },
    isRequired: flags.includes('!'),
  }
}

function parseType(text: string): { type: Type; keepsZero: boolean } {
  const list = /^\[(.+)\](\?)?$/.exec(text)
  if (list)
    return { type: { kind: 'list', items: parseType(list[1] ?? '').type }, keepsZero: Boolean(list[2]) }
  const map = /^\{(.+)\}$/.exec(text)
  if (map) return { type: { kind: 'map', values: parseType(map[1] ?? '').type }, keepsZero: false }
  const scalar = /^&?(\w+)(\?)?(?:\(([^)]*)\))?$/.exec(text)
  const [, name = '', optional, words] = scalar ?? []
  if (SCALARS.has(name)) {
    // It has just been looked up.
    const type: Type = { kind: 'scalar', scalar: name as Scalar }
    if (words) type.words = new Set(words.split('/'))
    return { type, keepsZero: Boolean(optional) || text.startsWith('&') }
  }
  return { type: typeNamed(text.replace(/^&/, '')), keepsZero: text.startsWith('&') }
}
