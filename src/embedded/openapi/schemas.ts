import type { Definitions } from '../../lib/schema/schema.ts'

/** Where the schemas of all kinds come from, with their descriptions. */
export interface SchemaSource {
  /** Reads them anew: they are large and seldom needed. */
  load(): Definitions
}
