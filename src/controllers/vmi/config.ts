import { isRecord } from '../../lib/json.ts'
import type { GuestConfig } from '../../rpc/actions.ts'
import type { VmiContext } from './context.ts'

/** Cluster settings that shape a guest: the operator's, widened by the KubeVirt object's `useEmulation`. */
export function guestConfig({ config, kubeVirts }: Pick<VmiContext, 'config' | 'kubeVirts'>): GuestConfig {
  const isOn = kubeVirts.list().some(({ spec }) => {
    const developer = spec?.configuration?.['developerConfiguration']
    return isRecord(developer) && developer['useEmulation'] === true
  })
  return { allowEmulation: config.allowEmulation || isOn }
}
