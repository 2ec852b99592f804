import { KINDS } from '../../kinds/table.ts'
import type { ShapeChecker } from '../api.ts'
import type { SchemaSource } from '../openapi/schemas.ts'
import { loadSchemas } from './load.ts'
import { buildShapeChecker } from './shapes.ts'

/** The schemas of all kinds: to check objects by, and to show in OpenAPI. Throws where their file cannot be read. */
export function openSchemas(): ShapeChecker & SchemaSource {
  return { ...buildShapeChecker(KINDS, loadSchemas()), load: loadSchemas }
}
