import { DATA_SOURCES } from '../kinds/table.ts'
import { hasReason } from '../lib/errors.ts'
import type { Getter, Referrer } from './find.ts'

const ARCHITECTURE_LABEL = 'template.kubevirt.io/architecture'
const ARCHITECTURES = ['amd64', 'arm64', 's390x']

/**
 * The architecture of what a VM's disk is made from, where a DataSource says it; one that may not be read says nothing.
 * Contract: MUT-VM-031.
 */
export async function findSourceArchitecture(
  reader: Getter,
  { metadata, spec }: Referrer,
): Promise<string | undefined> {
  for (const { spec: dataVolume } of spec.dataVolumeTemplates ?? []) {
    const { sourceRef } = dataVolume
    if (sourceRef?.kind?.toLowerCase() !== 'datasource') continue
    const architecture = await readLabel(reader, sourceRef.namespace || metadata.namespace, sourceRef.name)
    if (ARCHITECTURES.includes(architecture)) return architecture
  }
  return undefined
}

/** Of the DataSource, or of the one that it names. */
async function readLabel(reader: Getter, namespace: string, name: string): Promise<string> {
  try {
    const found = await reader.get(DATA_SOURCES, namespace, name)
    const next = found?.spec?.source?.dataSource
    const last = next ? await reader.get(DATA_SOURCES, next.namespace, next.name) : found
    return last?.metadata.labels?.[ARCHITECTURE_LABEL] ?? ''
  } catch (error) {
    // Not for the caller to read, or CDI is not there.
    if (hasReason(error, 'Forbidden', 'NotFound')) return ''
    throw error
  }
}
