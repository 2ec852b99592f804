/** Writes `apiservice/generated`, and the CRDs and some templates of the chart: run by `npm run generate`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { loadSchemas } from '../src/embedded/schemas/load.ts'
import { buildChartTemplates } from './chart.ts'
import { buildCrdFiles } from './crds/files.ts'
import { buildFiles, formatYaml } from './files.ts'
import { DEFAULTS, type Manifest } from './manifest.ts'

const chart = new URL('../charts/virtgate/', import.meta.url)
write(new URL('generated/', import.meta.url), format(buildFiles(DEFAULTS)))
write(new URL('crds/', chart), format(buildCrdFiles(loadSchemas())))
write(new URL('templates/generated/', chart), buildChartTemplates())

function format(files: Map<string, Manifest[]>): Map<string, string> {
  return new Map([...files].map(([name, manifests]) => [name, formatYaml(manifests)]))
}

function write(directory: URL, files: Map<string, string>): void {
  mkdirSync(directory, { recursive: true })
  for (const [name, text] of files) writeFileSync(new URL(name, directory), text)
}
