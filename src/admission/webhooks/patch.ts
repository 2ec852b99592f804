import { getMember, isRecord, type JsonRecord } from '../../lib/json.ts'

/** One operation of a JSON patch. */
export interface PatchOperation {
  op: 'add' | 'replace' | 'remove'
  path: string
  value?: unknown
}

/**
 * The smallest patch that makes the sections of `object` what `after` has: members that differ, and no more, where the
 * reference replaces whole sections (contract: MUT-P-002, MUT-P-006). Lists are replaced whole where their lengths
 * differ; the order of members does not count (MUT-P-007). None where nothing differs (MUT-VMI-011).
 */
export function createPatch(
  object: JsonRecord,
  after: JsonRecord,
  sections: readonly string[],
): PatchOperation[] {
  const operations: PatchOperation[] = []
  for (const section of sections) {
    if (after[section] === undefined) continue
    compare(object[section], after[section], `/${escapePointer(section)}`, operations)
  }
  return operations
}

function compare(before: unknown, after: unknown, path: string, operations: PatchOperation[]): void {
  if (before === after) return
  if (isRecord(before) && isRecord(after)) return compareRecords(before, after, path, operations)
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    for (let index = 0; index < after.length; index++) {
      compare(before[index], after[index], `${path}/${index}`, operations)
    }
    return
  }
  operations.push({ op: before === undefined ? 'add' : 'replace', path, value: after })
}

function compareRecords(
  before: JsonRecord,
  after: JsonRecord,
  path: string,
  operations: PatchOperation[],
): void {
  for (const name in before) {
    if (!Object.hasOwn(after, name)) operations.push({ op: 'remove', path: `${path}/${escapePointer(name)}` })
  }
  for (const name in after) {
    // Most members are the same: their paths are not written out. What is inherited is never the same as JSON.
    if (before[name] === after[name]) continue
    compare(getMember(before, name), after[name], `${path}/${escapePointer(name)}`, operations)
  }
}

/** A member's name as a step of a JSON pointer. Source: RFC 6901. */
function escapePointer(name: string): string {
  if (!name.includes('/') && !name.includes('~')) return name
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}
