import { DATA_SOURCES } from '../kinds/table.ts'
import type { Getter, Referrer } from './find.ts'

const ARCHITECTURE_LABEL = 'template.kubevirt.io/architecture'
const ARCHITECTURES = ['amd64', 'arm64', 's390x']

/** The architecture of what a VM's disk is made from, where a DataSource says it. Contract: MUT-VM-031. */
export async function findSourceArchitecture(
  reader: Getter,
  { metadata, spec }: Referrer,
): Promise<string | undefined> {
  for (const { spec: dataVolume } of spec.dataVolumeTemplates ?? []) {
    const { sourceRef } = dataVolume
    if (sourceRef?.kind?.toLowerCase() !== 'datasource') continue
    const found = await reader.get(DATA_SOURCES, sourceRef.namespace || metadata.namespace, sourceRef.name)
    const next = found?.spec?.source?.dataSource
    const last = next ? await reader.get(DATA_SOURCES, next.namespace, next.name) : found
    const architecture = last?.metadata.labels?.[ARCHITECTURE_LABEL] ?? ''
    if (ARCHITECTURES.includes(architecture)) return architecture
  }
  return undefined
}
