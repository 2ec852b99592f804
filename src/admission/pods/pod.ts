import type { KubeObject, NamespacedMeta } from '../../kinds/meta.ts'

/** A mount of a container. */
export interface VolumeMount {
  name?: string
  mountPath?: string
  subPath?: string
}

/** A pod, as far as admission looks at it. Source: `core/v1` Pod. */
export interface Pod extends KubeObject {
  metadata: NamespacedMeta & { ownerReferences?: { kind: string; name: string; apiVersion: string }[] }
  spec?: {
    nodeName?: string
    containers?: { name?: string; image?: string; volumeMounts?: VolumeMount[] }[]
    volumes?: (Record<string, unknown> & { name?: string })[]
  }
  status?: { phase?: string }
}

/** Whether QEMU runs in this pod. */
export function isLauncher({ metadata }: Pod): boolean {
  return metadata.labels?.['kubevirt.io'] === 'virt-launcher'
}

/** Whether a pod has ended. */
export function isPodOver({ status }: Pod): boolean {
  return status?.phase === 'Failed' || status?.phase === 'Succeeded'
}

/** The annotation that names the VMI of a launcher. */
export const DOMAIN_ANNOTATION = 'kubevirt.io/domain'
