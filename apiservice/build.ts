/** Writes `apiservice/generated`: run by `npm run generate`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { buildFiles, formatYaml } from './files.ts'
import { DEFAULTS } from './manifest.ts'

const directory = new URL('generated/', import.meta.url)
mkdirSync(directory, { recursive: true })
for (const [name, manifests] of buildFiles(DEFAULTS)) {
  writeFileSync(new URL(name, directory), formatYaml(manifests))
}
