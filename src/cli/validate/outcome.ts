/** What comes of objects, as it is told to people and to programs. */
import type { Cause } from '../../lib/errors.ts'
import { locate } from './locate.ts'
import { pathIn } from './paths.ts'
import type { Found, Place, Unreadable } from './read.ts'

/** Something that is wrong, or that whoever wrote the object should know. */
export interface Finding extends Place {
  /** As causes of KubeVirt name it; empty where it is about the object as a whole. */
  field: string
  /** A cause's reason, such as `FieldValueInvalid`; empty where there is none. */
  reason: string
  message: string
}

/**
 * `undecided`: it depends on objects that are not among the files, and nothing else is wrong with it. `skipped`: nothing
 * is known of its kind.
 */
export type Result = 'valid' | 'invalid' | 'undecided' | 'skipped'

/** What came of one object. */
export interface Outcome extends Place {
  file: string
  apiVersion: string
  kind: string
  /** Empty for kinds without namespaces. */
  namespace: string
  name: string
  result: Result
  errors: Finding[]
  warnings: Finding[]
  /** What could not be looked at, and why. */
  notes: string[]
}

/** What came of all files. */
export interface Report {
  objects: Outcome[]
  unreadable: Unreadable[]
}

/** A cause, at its place in the file. */
export function findingOf(found: Found, { field, reason, message }: Partial<Cause>): Finding {
  if (!field) return { ...sentenceAt(found, message ?? ''), reason: reason ?? '' }
  return { ...locate(found, field), field, reason: reason ?? '', message: message ?? '' }
}

/** A sentence, which may begin with the field that it is about. */
export function sentenceAt(found: Found, sentence: string): Finding {
  const field = pathIn(sentence)
  const message = field === '' ? sentence : sentence.slice(field.length).replace(/^:? /, '')
  return { ...locate(found, field), field, reason: '', message }
}

/** Findings by their places; what clients have come to be told twice is told once. */
export function tidy(findings: readonly Finding[]): Finding[] {
  const once = new Map(findings.map((finding) => [`${finding.field}\n${finding.message}`, finding]))
  return [...once.values()].toSorted((one, other) => one.line - other.line || one.column - other.column || 0)
}
