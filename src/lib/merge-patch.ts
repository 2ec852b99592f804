import { getMember, isRecord, setMember, type JsonRecord } from './json.ts'

/**
 * The value that a JSON merge patch makes of `target`, which stays as it was: null removes, objects merge,
 * everything else replaces.
 *
 * Source: RFC 7386, section 2.
 */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch
  const result: JsonRecord = isRecord(target) ? { ...target } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name]
    else setMember(result, name, applyMergePatch(getMember(result, name), value))
  }
  return result
}
