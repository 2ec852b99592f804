import type { Kind } from '../src/kinds/kind.ts'
import { reachableFrom, type Definitions } from '../src/lib/schema/schema.ts'
import { OPERATION_SCHEMAS } from '../src/embedded/openapi/operations.ts'
import { buildBuiltIn } from './built-in.ts'
import { readCatalogue, type Catalogue } from './catalogue.ts'
import { HAND_WRITTEN } from './corrections.ts'
import { buildKubeVirt, catalogueName, coreTypesOf } from './kubevirt.ts'
import { SCALARS } from './scalars.ts'

/** Schemas of all kinds and of what they refer to, in alphabetical order. */
export function buildSchemas(kinds: readonly Kind[]): Definitions {
  const custom = kinds.filter(({ builtIn, schema }) => !builtIn && !(schema in HAND_WRITTEN))
  const catalogue = readCatalogue()
  const builtIn = buildBuiltIn(
    kinds.filter((kind) => kind.builtIn),
    coreTypesOf(catalogue),
  )
  limitWords(builtIn, catalogue)
  const all = { ...SCALARS, ...builtIn, ...buildKubeVirt(custom, catalogue), ...HAND_WRITTEN }
  const names = reachableFrom([...kinds.map(({ schema }) => schema), ...OPERATION_SCHEMAS], all)
  return Object.fromEntries(
    Object.entries(all)
      .filter(([name]) => names.has(name))
      .sort(([left], [right]) => (left < right ? -1 : 1)),
  )
}

/** A claim in a DataVolume takes a volume mode that a claim of its own does not; Kubernetes checks the latter itself. */
const NOT_LIMITED = 'core.PersistentVolumeClaimSpec'

/** The words that a core type takes are in the catalogue alone. */
function limitWords(definitions: Definitions, catalogue: Catalogue): void {
  for (const [type, members] of catalogue) {
    if (!type.startsWith('core.') || type === NOT_LIMITED) continue
    for (const { name, enum: words } of members) {
      const property = definitions[catalogueName(type)]?.properties?.[name]
      if (words && property) property.enum = words
    }
  }
}

/** The file's text: one definition a line, so that a change shows as the lines it touches. */
export function formatSchemas(definitions: Definitions): string {
  const lines = Object.entries(definitions).map(
    ([name, schema]) => `${JSON.stringify(name)}: ${JSON.stringify(schema)}`,
  )
  return `{\n${lines.join(',\n')}\n}\n`
}
