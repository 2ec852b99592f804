import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createGenerator } from 'ts-json-schema-generator'

/** A JSON schema as the generator writes it, as far as the packages' types need it. */
export interface GeneratedSchema {
  $ref?: string
  type?: string
  format?: string
  description?: string
  properties?: Record<string, GeneratedSchema>
  required?: string[]
  items?: GeneratedSchema
  additionalProperties?: GeneratedSchema | boolean
  enum?: unknown[]
  anyOf?: GeneratedSchema[]
}

/** A type and the module that exports it, as a path from the root of the repository. */
export interface TypeSource {
  type: string
  module: string
}

/**
 * Schemas of types and all they refer to, by the names of the types.
 *
 * One small file that names them all is what the generator reads: it goes through the whole of a file for each
 * question, and those of the packages are long.
 */
export function readTypes(sources: readonly TypeSource[]): Map<string, GeneratedSchema> {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'virtgate-types-'))
  const path = join(directory.path, 'roots.ts')
  writeFileSync(path, formatRoots(sources))
  const generator = createGenerator({
    path,
    skipTypeCheck: true,
    expose: 'all',
    jsDoc: 'extended',
    additionalProperties: false,
  })
  const { definitions = {} } = generator.createSchema('Roots')
  // The packages' types hold nothing beyond what GeneratedSchema names; what else there were would fail below.
  return new Map(Object.entries(definitions)) as Map<string, GeneratedSchema>
}

function formatRoots(sources: readonly TypeSource[]): string {
  const imports = sources.map(({ type, module }) => `import type { ${type} } from '${resolve(module)}'`)
  const members = sources.map(({ type }) => `  ${type}: ${type}`)
  return [...imports, 'export interface Roots {', ...members, '}', ''].join('\n')
}

/** The type that a generated schema refers to, if it does. */
export function typeOfRef({ $ref }: GeneratedSchema): string | undefined {
  return $ref === undefined ? undefined : decodeURIComponent($ref.replace('#/definitions/', ''))
}
