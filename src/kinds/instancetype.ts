/** Instance types and preferences, as far as their fields are read. Source: `instancetype.kubevirt.io/v1beta1`. */
import type {
  V1beta1VirtualMachineInstancetypeSpec,
  V1beta1VirtualMachinePreferenceSpec,
  V1InstancetypeMatcher,
  V1InstancetypeStatusRef,
  V1LaunchSecurity,
} from '@kubevirt-ui-ext/kubevirt-api/kubevirt'
import type { KubeObject } from './meta.ts'

type PublishedInstancetype = V1beta1VirtualMachineInstancetypeSpec

/**
 * What a guest gets and may not ask for itself: CPU, memory and what goes with them. Not every member that is
 * required was so at all times: old revisions may lack it.
 */
export interface InstancetypeSpec extends Omit<PublishedInstancetype, 'cpu' | 'memory'> {
  cpu?: Partial<PublishedInstancetype['cpu']>
  memory?: Partial<PublishedInstancetype['memory']>
}

/** What a guest gets where it does not say otherwise. The published types lack the launch security. */
export interface PreferenceSpec extends V1beta1VirtualMachinePreferenceSpec {
  preferredLaunchSecurity?: V1LaunchSecurity
}

/** A VirtualMachineInstancetype or VirtualMachineClusterInstancetype. */
export interface Instancetype extends KubeObject {
  spec: InstancetypeSpec
}

/** A VirtualMachinePreference or VirtualMachineClusterPreference. */
export interface Preference extends KubeObject {
  spec: PreferenceSpec
}

/** How a VM names one of them: `spec.instancetype`, `spec.preference`. */
export type Matcher = V1InstancetypeMatcher

/** What the controller notes about it: `status.instancetypeRef`, `status.preferenceRef`. */
export type StatusRef = V1InstancetypeStatusRef
