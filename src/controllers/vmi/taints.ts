import type { Node } from '../../kinds/core.ts'
import type { VmiSpec } from '../../kinds/kubevirt.ts'

type Toleration = NonNullable<VmiSpec['tolerations']>[number]
type Taint = NonNullable<NonNullable<Node['spec']>['taints']>[number]

/**
 * Whether each taint that keeps guests away is tolerated; `PreferNoSchedule` keeps none away.
 * Source: "Taints and Tolerations" in the Kubernetes documentation.
 */
export function toleratesAll(tolerations: readonly Toleration[], taints: readonly Taint[]): boolean {
  return taints.every(
    (taint) => taint.effect === 'PreferNoSchedule' || tolerations.some((one) => tolerates(one, taint)),
  )
}

function tolerates({ key, operator, value, effect }: Toleration, taint: Taint): boolean {
  if (effect && effect !== taint.effect) return false
  // No key and `Exists` tolerates everything.
  if (!key) return operator === 'Exists'
  if (key !== taint.key) return false
  return operator === 'Exists' || (value ?? '') === (taint.value ?? '')
}
