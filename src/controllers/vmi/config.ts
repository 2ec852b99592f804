import { configurationOf } from '../../kinds/configuration.ts'
import { isRecord } from '../../lib/json.ts'
import type { GuestConfig } from '../../rpc/actions.ts'
import type { PlacementConfig } from '../placement/situation.ts'
import type { VmiContext } from './context.ts'

/** Cluster settings that shape a guest: the operator's, widened by the KubeVirt object's `useEmulation`. */
export function guestConfig({ config, kubeVirts }: Pick<VmiContext, 'config' | 'kubeVirts'>): GuestConfig {
  const isOn = kubeVirts.list().some(({ spec }) => {
    const developer = spec?.configuration?.['developerConfiguration']
    return isRecord(developer) && developer['useEmulation'] === true
  })
  return { allowEmulation: config.allowEmulation || isOn }
}

/** KubeVirt's default: a tenth of a CPU for each vCPU. */
const CPU_ALLOCATION_RATIO = 10

/** Cluster settings that placement depends on. */
export function placementConfig(context: Pick<VmiContext, 'config' | 'kubeVirts'>): PlacementConfig {
  const developer = configurationOf(context.kubeVirts.list())['developerConfiguration']
  const ratio = isRecord(developer) ? developer['cpuAllocationRatio'] : undefined
  const cpuAllocationRatio = typeof ratio === 'number' && ratio > 0 ? ratio : CPU_ALLOCATION_RATIO
  return { ...guestConfig(context), cpuAllocationRatio }
}
