import { isRecord, type JsonRecord } from '../lib/json.ts'
import { isGateOn } from './gates.ts'
import type { KubeVirt } from './kubevirt.ts'

/** `spec.configuration` of the KubeVirt object, as people wrote it. */
export type KubeVirtConfiguration = Readonly<JsonRecord>

/** The configuration that counts: of the one KubeVirt object; of the oldest where there are several. */
export function configurationOf(kubeVirts: readonly KubeVirt[]): KubeVirtConfiguration {
  const [oldest] = kubeVirts.toSorted((left, right) =>
    left.metadata.creationTimestamp < right.metadata.creationTimestamp ? -1 : 1,
  )
  return oldest?.spec?.configuration ?? {}
}

/** What becomes of a VM's instance type and preference. */
export type ReferencePolicy = 'reference' | 'expand' | 'expandAll'

/** `instancetype.referencePolicy`; `reference` where it says nothing that is known. */
export function referencePolicyOf({ instancetype }: KubeVirtConfiguration): ReferencePolicy {
  const policy = isRecord(instancetype) ? instancetype['referencePolicy'] : undefined
  return policy === 'expand' || policy === 'expandAll' ? policy : 'reference'
}

/** Whether a feature gate is on. */
export function hasGate({ developerConfiguration }: KubeVirtConfiguration, gate: string): boolean {
  const lists = isRecord(developerConfiguration) ? developerConfiguration : {}
  return isGateOn(gate, textsOf(lists['featureGates']), textsOf(lists['disabledFeatureGates']))
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((text) => typeof text === 'string') : []
}
