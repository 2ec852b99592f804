import type { Node } from '../../kinds/core.ts'
import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { SCHEDULABLE_LABEL } from '../../kinds/worker-lease.ts'
import type { Rule } from './situation.ts'

type Toleration = NonNullable<VmiSpec['tolerations']>[number]
type Taint = NonNullable<NonNullable<Node['spec']>['taints']>[number]

/** What `kubectl cordon` says as a taint; who tolerates it goes to cordoned nodes, too. */
const CORDONED: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }

/** A guest stays away from nodes that are cordoned or closed to guests. */
export const isOpen: Rule = ({ spec }, { node }) => {
  const isClosed = node.metadata.labels?.[SCHEDULABLE_LABEL] === 'false'
  const isCordoned = node.spec?.unschedulable === true && !isTolerated(spec.tolerations, CORDONED)
  return isClosed || isCordoned ? 'node(s) were unschedulable' : undefined
}

/**
 * A guest stays away from nodes whose taints it does not tolerate; `PreferNoSchedule` keeps none away.
 * Source: "Taints and Tolerations" in the Kubernetes documentation.
 */
export const toleratesTaints: Rule = ({ spec }, { node }) => {
  const taint = node.spec?.taints?.find(
    (one) => one.effect !== 'PreferNoSchedule' && !isTolerated(spec.tolerations, one),
  )
  return taint && `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`
}

/** How many taints would rather keep the guest away. */
export function unwelcome({ tolerations }: VmiSpec, { spec }: Node): number {
  const taints = spec?.taints ?? []
  return taints.filter((one) => one.effect === 'PreferNoSchedule' && !isTolerated(tolerations, one)).length
}

function isTolerated(tolerations: readonly Toleration[] = [], taint: Taint): boolean {
  return tolerations.some((one) => tolerates(one, taint))
}

function tolerates({ key, operator, value, effect }: Toleration, taint: Taint): boolean {
  if (effect && effect !== taint.effect) return false
  // No key and `Exists` tolerates everything.
  if (!key) return operator === 'Exists'
  if (key !== taint.key) return false
  return operator === 'Exists' || (value ?? '') === (taint.value ?? '')
}
