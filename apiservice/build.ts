/** Writes `apiservice/generated` and the CRDs of the chart: run by `npm run generate`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { loadSchemas } from '../src/embedded/schemas/load.ts'
import { buildCrdFiles } from './crds/files.ts'
import { buildFiles, formatYaml } from './files.ts'
import { DEFAULTS, type Manifest } from './manifest.ts'

write(new URL('generated/', import.meta.url), buildFiles(DEFAULTS))
write(new URL('../charts/virtgate/crds/', import.meta.url), buildCrdFiles(loadSchemas()))

function write(directory: URL, files: Map<string, Manifest[]>): void {
  mkdirSync(directory, { recursive: true })
  for (const [name, manifests] of files) writeFileSync(new URL(name, directory), formatYaml(manifests))
}
