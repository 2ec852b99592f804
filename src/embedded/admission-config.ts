import { defaultConfig, readConfig, type AdmissionConfig } from '../admission/config.ts'
import type { KubeVirt } from '../kinds/kubevirt.ts'
import { KUBEVIRTS } from '../kinds/table.ts'
import { kindKey, type ObjectDatabase } from '../store/sqlite/rows.ts'
import { parseObject } from './objects/rows.ts'

/**
 * What embedded mode configures admission with: the defaults, and the KubeVirt object over them.
 *
 * Guests get a masquerade interface where they name none: there is no bridge on the host to plug them into.
 * `architecture` is the host's: `amd64` or `arm64`.
 */
export function readAdmissionConfig(
  database: Pick<ObjectDatabase, 'list'>,
  architecture: string,
): AdmissionConfig {
  const base: AdmissionConfig = { ...defaultConfig(architecture), defaultNetworkInterface: 'masquerade' }
  const rows = database.list({ kind: kindKey(KUBEVIRTS), namespace: base.installNamespace })
  // What is stored under the kind has its type.
  const objects = rows.map((row) => parseObject(row) as KubeVirt)
  const present = objects.find(({ metadata, status }) => !metadata.deletionTimestamp && status?.phase)
  return readConfig(base, present?.spec?.configuration)
}
