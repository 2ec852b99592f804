/** Writes a value as its type is written: empty members vanish, some never do. Contract: MUT-P-003, MUT-P-004. */
import { copyOnce, isRecord, type JsonRecord } from '../../lib/json.ts'
import { formatQuantity } from '../../lib/quantity-format.ts'
import { typeNamed, type Member, type ObjectType, type Type } from './parse.ts'

/** A decoded value in the form in which KubeVirt stores it; what has that form already is not copied. */
export function encode(typeName: string, value: unknown): JsonRecord {
  return encodeObject(typeNamed(typeName), isRecord(value) ? value : {})
}

function encodeObject(type: ObjectType, value: JsonRecord): JsonRecord {
  let encoded = value
  for (const name in value) {
    const member = type.members.get(name)
    const content = value[name]
    const written = member && content !== null ? encodeValue(member.type, content) : undefined
    const isWritten = written !== undefined && !isLeftOut(member, written)
    if (isWritten && written === content) continue
    encoded = copyOnce(encoded, value)
    if (isWritten) encoded[name] = written
    else delete encoded[name]
  }
  for (const member of type.always) {
    if (encoded[member.name] !== undefined) continue
    encoded = copyOnce(encoded, value)
    writeAbsent(encoded, member)
  }
  return encoded
}

function isLeftOut(member: Member | undefined, written: unknown): boolean {
  return !member || (!member.always && !member.keepsZero && isEmpty(member.type, written))
}

/** What is written where there is nothing. Absent lists, maps and pointers would be `null`: they are left out. */
function writeAbsent(encoded: JsonRecord, { name, type }: Member): void {
  if (type.kind === 'object') encoded[name] = encodeObject(type, {})
  else if (type.kind === 'scalar' && ZEROS.has(type.scalar)) encoded[name] = ZEROS.get(type.scalar)
}

const ZEROS = new Map<string, unknown>([
  ['str', ''],
  ['bool', false],
  ['qty', '0'],
  ...['i32', 'int64', 'u32', 'u64', 'intstr'].map((scalar): [string, number] => [scalar, 0]),
])

function encodeValue(type: Type, value: unknown): unknown {
  switch (type.kind) {
    case 'scalar':
      return type.scalar === 'qty' ? formatQuantity(String(value)) : value
    case 'list':
      return Array.isArray(value) ? encodeList(type.items, value) : value
    case 'map':
      return isRecord(value) ? encodeMap(type.values, value) : value
    case 'object':
      return isRecord(value) ? encodeObject(type, value) : value
  }
}

function encodeList(items: Type, list: readonly unknown[]): readonly unknown[] {
  const encoded = list.map((element) => encodeValue(items, element))
  return encoded.every((element, index) => element === list[index]) ? list : encoded
}

function encodeMap(values: Type, map: JsonRecord): JsonRecord {
  let encoded = map
  for (const key in map) {
    const written = encodeValue(values, map[key])
    if (written === map[key]) continue
    encoded = copyOnce(encoded, map)
    // The member is there, so that this changes it, whatever its name.
    encoded[key] = written
  }
  return encoded
}

function isEmpty(type: Type, value: unknown): boolean {
  switch (type.kind) {
    case 'scalar':
      return value === '' || value === 0 || value === false
    case 'list':
      return Array.isArray(value) && value.length === 0
    case 'map':
      return isRecord(value) && Object.keys(value).length === 0
    case 'object':
      return false
  }
}
