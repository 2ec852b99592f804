import { badRequest, requestEntityTooLarge } from '../lib/errors.ts'
import { isRecord, type JsonRecord } from '../lib/json.ts'
import { yaml } from '../lib/yaml.ts'

/** Types of the fields of an option body. */
export interface FieldTypes {
  boolean: boolean
  string: string
  strings: string[]
  /** A whole number of at most 53 bits. */
  integer: number
  /** A JSON object; what is in it is for the handler, or the API that stores it, to judge. */
  object: JsonRecord
  objects: JsonRecord[]
}

/** Fields of an option type such as `StartOptions`: JSON name → type. Each may be absent. */
export type OptionFields = Readonly<Record<string, keyof FieldTypes>>

/** The options that such fields make. */
export type Options<F extends OptionFields> = { -readonly [Name in keyof F]?: FieldTypes[F[Name]] }

/** YAML takes a thousand times the work of JSON, and no option body is this long. */
const YAML_LIMIT_BYTES = 32 * 1024

/**
 * The options in a request body, whatever its media type: JSON where it begins with `{`, otherwise the first YAML
 * document. Nothing, white space and `null` mean defaults; names may be in any case; unknown fields are ignored.
 *
 * Throws 400 where the text is malformed, is no object, or a field has the wrong type; 413 for long YAML.
 * Source: contract 3.1.2, BD-1 to BD-10.
 */
export function decodeOptions<F extends OptionFields>(body: Buffer, fields: F): Options<F> {
  const value = parse(decodeText(body))
  const options: Record<string, unknown> = {}
  for (const [name, given] of Object.entries(value)) {
    const known = findField(fields, name)
    if (known === undefined || given === null) continue
    options[known] = checkField(known, fields[known], given)
  }
  // Every member was held against its field's type above.
  return options as Options<F>
}

function findField(fields: OptionFields, name: string): string | undefined {
  if (Object.hasOwn(fields, name)) return name
  const folded = name.toLowerCase()
  return Object.keys(fields).find((field) => field.toLowerCase() === folded)
}

const EXPECTED: Record<keyof FieldTypes, string> = {
  boolean: 'true or false',
  string: 'a text',
  strings: 'a list of texts',
  integer: 'a whole number',
  object: 'an object',
  objects: 'a list of objects',
}

function checkField(name: string, type: keyof FieldTypes | undefined, value: unknown): unknown {
  if (type !== undefined && isOfType(type, value)) return value
  const expected = type === undefined ? 'absent' : EXPECTED[type]
  throw badRequest(`the request body is not as expected: field "${name}" must be ${expected}`)
}

function isOfType(type: keyof FieldTypes, value: unknown): boolean {
  switch (type) {
    case 'boolean':
    case 'string':
      return typeof value === type
    case 'strings':
      return Array.isArray(value) && value.every((item) => typeof item === 'string')
    case 'object':
      return isRecord(value)
    case 'objects':
      return Array.isArray(value) && value.every(isRecord)
    default:
      return Number.isSafeInteger(value)
  }
}

function decodeText(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body)
  } catch (error) {
    throw malformed('it is not UTF-8', error)
  }
}

function parse(text: string): Record<string, unknown> {
  const trimmed = text.trimStart()
  if (trimmed === '') return {}
  const value = trimmed.startsWith('{') ? parseJson(trimmed) : parseYaml(text)
  if (value === null || value === undefined) return {}
  if (!isRecord(value)) throw malformed('it must be an object')
  return value
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(firstObject(text))
  } catch (error) {
    throw malformed('it is not JSON', error)
  }
}

/** The text up to the brace that closes the first one: what follows is ignored (BD-3). */
function firstObject(text: string): string {
  let depth = 0
  let isInString = false
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index]
    if (isInString) {
      if (char === '\\') index += 1
      else if (char === '"') isInString = false
    } else if (char === '"') isInString = true
    else if (char === '{') depth += 1
    else if (char === '}') {
      depth -= 1
      if (depth === 0) return text.slice(0, index + 1)
    }
  }
  return text
}

function parseYaml(text: string): unknown {
  if (Buffer.byteLength(text) > YAML_LIMIT_BYTES) throw requestEntityTooLarge(YAML_LIMIT_BYTES)
  try {
    const { Composer, Parser } = yaml()
    // Documents come one by one, so what stands behind the first is never looked at.
    const composer = new Composer({ version: '1.1', uniqueKeys: false })
    for (const document of composer.compose(new Parser().parse(text))) {
      const [error] = document.errors
      if (error) throw error
      return document.toJS()
    }
    return null
  } catch (error) {
    throw malformed('it is neither JSON nor YAML', error)
  }
}

function malformed(what: string, cause?: unknown): Error {
  const detail = cause instanceof Error ? `: ${cause.message.split('\n', 1)[0]?.slice(0, 200)}` : ''
  return badRequest(`the request body cannot be read: ${what}${detail}`)
}
