/** What the KubeVirt object says about admission. Contract: admission-overview.md, section 9. */
import type { KubeVirt } from '../kinds/kubevirt.ts'
import { isRecord, type JsonRecord } from '../lib/json.ts'
import { defaultConfig, readConfig, type AdmissionConfig } from './config.ts'

/** Where an installation is, and on what. */
export interface Installation {
  /** The namespace of the KubeVirt object that counts, and of KubeVirt's own service accounts. */
  namespace: string
  /** What guests get where no KubeVirt object says it: that of this program. */
  architecture: string
}

/** The KubeVirt object that counts: deployed, and not on its way out. */
export function kubeVirtInUse(kubeVirts: readonly KubeVirt[], namespace: string): KubeVirt | undefined {
  return kubeVirts.find(
    ({ metadata, status }) =>
      metadata.namespace === namespace && !metadata.deletionTimestamp && Boolean(status?.phase),
  )
}

/**
 * The defaults with what `kubeVirt` says over them. The architecture is the one in its status, an empty one too; ours
 * where there is no KubeVirt object.
 */
export function configOf(kubeVirt: KubeVirt | undefined, installation: Installation): AdmissionConfig {
  const { namespace, architecture } = installation
  const stated = kubeVirt ? (kubeVirt.status?.defaultArchitecture ?? '') : architecture
  const base = { ...defaultConfig(stated), installNamespace: namespace }
  return readConfig(base, kubeVirt?.spec?.configuration, kubeVirt?.metadata.annotations)
}

/** What is wrong with a configuration as a whole, for the log: then the one before stays. `undefined`: nothing. */
export function configurationFault(configuration: JsonRecord = {}): string | undefined {
  const developer = recordOf(configuration.developerConfiguration)
  const { memoryOvercommit, cpuAllocationRatio, pvcTolerateLessSpaceUpToPercent: less } = developer
  const { defaultNetworkInterface } = recordOf(configuration.network)
  if (!isOneOf(configuration.imagePullPolicy, ['', 'Always', 'Never', 'IfNotPresent'])) {
    return 'imagePullPolicy must be Always, Never or IfNotPresent'
  }
  if (typeof memoryOvercommit === 'number' && memoryOvercommit <= 0) {
    return 'developerConfiguration.memoryOvercommit must be above 0'
  }
  if (typeof cpuAllocationRatio === 'number' && cpuAllocationRatio <= 0) {
    return 'developerConfiguration.cpuAllocationRatio must be above 0'
  }
  if (typeof less === 'number' && (less < 0 || less > 100)) {
    return 'developerConfiguration.pvcTolerateLessSpaceUpToPercent must be from 0 to 100'
  }
  if (!isOneOf(defaultNetworkInterface, ['', 'bridge', 'slirp', 'masquerade'])) {
    return 'network.defaultNetworkInterface must be bridge or masquerade'
  }
  return undefined
}

function isOneOf(value: unknown, allowed: readonly unknown[]): boolean {
  return value === undefined || allowed.includes(value)
}

function recordOf(value: unknown): JsonRecord {
  return isRecord(value) ? value : {}
}
