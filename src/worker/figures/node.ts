/** What is told of a node itself. */
import type { Reading } from '../../metrics/reading.ts'
import type { QemuCapabilities } from '../../qemu/probe.ts'
import type { NodeInfo } from '../../rpc/actions.ts'

/**
 * Whether its guests run with KVM, which Kubernetes knows only of nodes that have a device plugin, and the machines that a
 * later QEMU will lack.
 */
export function readingsOfNode(
  { nodeName: node, accelerator }: NodeInfo,
  { deprecatedMachines }: Pick<QemuCapabilities, 'deprecatedMachines'>,
): Reading[] {
  return [
    { name: 'virtgate_node_kvm', labels: { node }, value: accelerator === 'kvm' ? 1 : 0 },
    ...deprecatedMachines.map((machine_type) => ({
      name: 'kubevirt_node_deprecated_machine_types',
      labels: { machine_type, node },
      value: 1,
    })),
  ]
}
