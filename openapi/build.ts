/** Writes `openapi/generated`: run by `npm run generate`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { KINDS } from '../src/kinds/table.ts'
import { buildSchemas, formatSchemas } from './schemas.ts'

const directory = new URL('generated/', import.meta.url)
mkdirSync(directory, { recursive: true })
writeFileSync(new URL('schemas.json', directory), formatSchemas(buildSchemas(KINDS)))
