/** Finds objects in text: YAML and JSON, as kubectl's `-f` takes them. */
import { LineCounter, parseAllDocuments, type Document, type Tags } from 'yaml'
import { isRecord, type JsonRecord } from '../../lib/json.ts'
import { splitJson } from './json-stream.ts'

/** A place in a file, counted from 1. */
export interface Place {
  line: number
  column: number
}

/** Text that was parsed: where its nodes stand. */
export interface Source {
  document: Document.Parsed
  /** Lines of the whole file. */
  lines: LineCounter
  /** Where the parsed part of the file begins. */
  base: number
}

/** An object in a file. */
export interface Found {
  file: string
  object: JsonRecord
  /** Where it stands in its document: empty, or the item of a list. */
  path: readonly (string | number)[]
  source: Source
}

/** A file, or a part of one, that cannot be read or holds no object. */
export interface Unreadable extends Partial<Place> {
  file: string
  message: string
}

/** What files hold. */
export interface Contents {
  objects: Found[]
  unreadable: Unreadable[]
}

/** References to earlier nodes that a document may hold: more is an attempt to blow it up. */
const ALIAS_LIMIT = 100

/** As kubectl reads: YAML 1.1, but `12:30` is a text, such as a MAC address without quotes, and so is a date. */
const OPTIONS = {
  version: '1.1' as const,
  prettyErrors: false,
  customTags: (tags: Tags) =>
    tags.filter(
      (tag) =>
        typeof tag === 'string' || (tag.format !== 'TIME' && tag.tag !== 'tag:yaml.org,2002:timestamp'),
    ),
}

/** The objects of a file's text. */
export function parseObjects(file: string, text: string): Contents {
  const contents: Contents = { objects: [], unreadable: [] }
  const lines = new LineCounter()
  lines.addNewLine(0)
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) lines.addNewLine(at + 1)
  for (const { part, base } of splitJson(text)) {
    for (const document of parseAllDocuments(part, OPTIONS)) {
      addObjects(file, { document, lines, base }, contents)
    }
  }
  return contents
}

function addObjects(file: string, source: Source, contents: Contents): void {
  const { document, lines, base } = source
  const [fault] = document.errors
  if (fault) {
    contents.unreadable.push({ file, message: fault.message, ...placeOf(lines, base + fault.pos[0]) })
    return
  }
  const at = placeOf(lines, base + (document.contents?.range[0] ?? 0))
  const value = toJson(document)
  if (value instanceof Error) contents.unreadable.push({ file, message: value.message, ...at })
  else if (value !== null && value !== undefined) addValue(value, { file, source, path: [], at }, contents)
}

/** As it would cross the wire; an error where it would not. */
function toJson(document: Document.Parsed): unknown {
  try {
    const value: unknown = document.toJS({ maxAliasCount: ALIAS_LIMIT })
    return value === undefined ? undefined : JSON.parse(JSON.stringify(value))
  } catch (error) {
    // Too many references, or one to nothing.
    if (error instanceof ReferenceError) return error
    throw error
  }
}

interface Where extends Pick<Found, 'file' | 'source' | 'path'> {
  at: Place
}

function addValue(value: unknown, { at, ...where }: Where, contents: Contents): void {
  const { file, path } = where
  const place = path.length > 0 ? `item ${path.filter((step) => step !== 'items').join('.')}: ` : ''
  if (!isRecord(value) || typeof value.kind !== 'string' || typeof value.apiVersion !== 'string') {
    const message = `${place}is no Kubernetes object: it has no apiVersion and kind`
    contents.unreadable.push({ file, message, ...at })
    return
  }
  const { kind, apiVersion, items } = value
  if (!kind.endsWith('List') || !Array.isArray(items)) {
    contents.objects.push({ ...where, object: value })
    return
  }
  // A list of one kind says it once.
  const common = kind === 'List' ? {} : { apiVersion, kind: kind.slice(0, -'List'.length) }
  for (const [index, item] of items.entries()) {
    const whole: unknown = isRecord(item) ? { ...common, ...item } : item
    addValue(whole, { ...where, path: [...path, 'items', index], at }, contents)
  }
}

/** Line and column of a character. */
export function placeOf(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(line, 1), column: Math.max(col, 1) }
}
