import { defaultConfig, readConfig, type AdmissionConfig } from '../admission/config.ts'
import { configOf, kubeVirtInUse } from '../admission/kubevirt-config.ts'
import type { KubeVirt } from '../kinds/kubevirt.ts'
import { KUBEVIRTS } from '../kinds/table.ts'
import { kindKey, type ObjectDatabase } from '../store/sqlite/rows.ts'
import { parseObject } from './objects/rows.ts'

/** Reads what embedded mode configures admission with; each call sees the KubeVirt object of the moment. */
export interface AdmissionConfigReader {
  /**
   * For objects that are written here. Guests get a masquerade interface where they name none, as there is no bridge on
   * the host to plug them into, and the host's architecture where neither they nor the KubeVirt object say one.
   */
  forWrites: () => AdmissionConfig
  /** For reviews that come over HTTP: as the KubeVirt object says, and nothing else. */
  forReviews: () => AdmissionConfig
}

/** Opens the reader. `architecture` is the host's: `amd64` or `arm64`. What was read is kept until it changes. */
export function openAdmissionConfig(
  database: Pick<ObjectDatabase, 'list'>,
  architecture: string,
): AdmissionConfigReader {
  const { installNamespace } = defaultConfig(architecture)
  let known: { version: string; writes: AdmissionConfig; reviews: AdmissionConfig } | undefined
  function read() {
    const rows = database.list({ kind: kindKey(KUBEVIRTS), namespace: installNamespace })
    const version = rows.map(({ json }) => json).join()
    if (known?.version === version) return known
    // What is stored under the kind has its type.
    const objects = rows.map((row) => parseObject(row) as KubeVirt)
    const present = kubeVirtInUse(objects, installNamespace)
    const writes = {
      ...defaultConfig(present?.status?.defaultArchitecture || architecture),
      defaultNetworkInterface: 'masquerade' as const,
    }
    known = {
      version,
      writes: readConfig(writes, present?.spec?.configuration, present?.metadata.annotations),
      reviews: configOf(present, { namespace: installNamespace, architecture }),
    }
    return known
  }
  return { forWrites: () => read().writes, forReviews: () => read().reviews }
}
