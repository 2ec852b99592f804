import { isRecord, type JsonRecord } from '../../lib/json.ts'

/** What JSON.parse says nothing of: how deep a text is nested, and names that stand twice in one object (security.md, D8). */
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
/** `[` and `{` differ in this bit alone, as do `]` and `}`. */
const CURLY = 0x20
const OPENING = 0x7b
const CLOSING = 0x7d

/**
 * How many members the objects of a JSON text have in all, as written; `undefined` where it is nested deeper than `limit`.
 * Reads bytes alone: what is no JSON is found out by whoever parses it.
 */
export function scanMembers(json: Buffer, limit: number): number | undefined {
  let members = 0
  let depth = 0
  let isText = false
  for (let at = 0; at < json.length; at++) {
    const byte = json[at] ?? 0
    if (isText) {
      if (byte === BACKSLASH) at += 1
      else if (byte === QUOTE) isText = false
    } else if (byte === QUOTE) isText = true
    else if (byte === COLON) members += 1
    else if ((byte | CURLY) === OPENING) {
      depth += 1
      if (depth > limit) return undefined
    } else if ((byte | CURLY) === CLOSING) depth -= 1
  }
  return members
}

/** How many members the objects of a parsed text have in all: fewer than were written where a name stood there twice. */
export function countMembers(value: unknown): number {
  if (Array.isArray(value)) return countOf(value)
  return isRecord(value) ? countInRecord(value) : 0
}

function countOf(list: readonly unknown[]): number {
  let members = 0
  for (const element of list) if (typeof element === 'object') members += countMembers(element)
  return members
}

function countInRecord(record: JsonRecord): number {
  let members = 0
  // What was parsed inherits nothing that would be counted, too; a list of the names would be made to be thrown away.
  for (const name in record) {
    members += 1
    const content = record[name]
    if (typeof content === 'object') members += countMembers(content)
  }
  return members
}
