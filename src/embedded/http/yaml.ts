import { badRequest } from '../../lib/errors.ts'
import { formatExact, parseExact } from '../../lib/exact-json.ts'
import { yaml } from '../../lib/yaml.ts'

/** References to earlier nodes that a document may hold: more is an attempt to blow it up. */
const ALIAS_LIMIT = 100

/** The value of a YAML document. Throws 400 where it cannot be read, or is more than one. */
export function parseYaml(text: string): unknown {
  const { parse, YAMLError } = yaml()
  try {
    const options = { version: '1.1', maxAliasCount: ALIAS_LIMIT, logLevel: 'error' } as const
    // Whole numbers that JavaScript would round are to stay what they are.
    return /\d{16}/.test(text)
      ? parseExact(formatExact(parse(text, { ...options, intAsBigInt: true })))
      : parse(text, options)
  } catch (error) {
    if (error instanceof YAMLError || error instanceof ReferenceError) {
      throw badRequest(`the body is not valid YAML: ${error.message}`)
    }
    // The parser goes down one call a level.
    if (error instanceof RangeError) throw badRequest('the body is nested too deeply')
    throw error
  }
}

/** A JSON value as YAML. */
export function formatYaml(value: unknown): string {
  return yaml().stringify(value, { version: '1.1' })
}
