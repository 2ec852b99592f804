import type { Definitions } from '../../src/lib/schema/schema.ts'
import type { Manifest } from '../manifest.ts'
import { buildCrds } from './definition.ts'

/** One file for each CRD: some are too large for two in one `kubectl apply`, and a chart installs file by file. */
export function buildCrdFiles(definitions: Definitions): Map<string, Manifest[]> {
  return new Map(buildCrds(definitions).map((crd) => [`${crd.metadata.name}.yaml`, [crd]]))
}
