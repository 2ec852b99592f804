import { readFileSync } from 'node:fs'
import type { Definitions } from '../../lib/schema/schema.ts'

/** What `npm run generate` wrote. */
const FILE = new URL('../../../openapi/generated/schemas.json', import.meta.url)

/**
 * Reads the schemas of all kinds from their file: 400 KB of text that nobody has to hold for long.
 *
 * Throws where it cannot be read.
 */
export function loadSchemas(): Definitions {
  // The file is our own, and a test compares it with what would be generated.
  return JSON.parse(readFileSync(FILE, 'utf8')) as Definitions
}
