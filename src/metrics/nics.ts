/** Network cards of a guest. Source: contract metrics.md, section 3. */
import type { VmiSpec } from '../kinds/kubevirt.ts'
import type { Reading } from './reading.ts'

const BINDINGS = ['masquerade', 'bridge', 'sriov', 'passt', 'passtBinding', 'slirp', 'macvtap'] as const

/** One series for each card that the spec has. */
export function nicReadings(
  name: 'kubevirt_vm_vnic_info' | 'kubevirt_vmi_vnic_info',
  { domain, networks = [] }: VmiSpec,
  labels: Record<string, string>,
): Reading[] {
  return (domain?.devices?.interfaces ?? []).map((card) => {
    const network = networks.find((one) => one.name === card.name)
    const plugin = card.binding?.name
    const own: Record<string, string> = {
      vnic_name: card.name,
      binding_type: plugin === undefined ? 'core' : 'plugin',
      network: network?.multus?.networkName ?? (network?.pod ? 'pod networking' : ''),
      binding_name: plugin ?? BINDINGS.find((one) => Object.hasOwn(card, one)) ?? '',
      model: card.model ?? '<none>',
    }
    return { name, labels: { ...labels, ...own }, value: 1 }
  })
}
