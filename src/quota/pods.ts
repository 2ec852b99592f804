/** What quotas count of a pod. Source: "Resource sharing within containers" in the Kubernetes documentation. */
import type { KubeObject } from '../kinds/meta.ts'
import type { ResourceList } from '../kinds/quota.ts'
import { addAmounts, largerOf, readAmounts, type Amounts } from './amounts.ts'

interface Container {
  restartPolicy?: string
  resources?: { requests?: ResourceList; limits?: ResourceList }
}

/** A pod, as far as quotas look at it. */
export interface Pod extends KubeObject {
  spec?: {
    containers?: Container[]
    initContainers?: Container[]
    overhead?: ResourceList
    priorityClassName?: string
    activeDeadlineSeconds?: number
    resources?: { requests?: ResourceList; limits?: ResourceList }
  }
  status?: { phase?: string }
}

const BOTH_NAMES = /^(?:cpu|memory|ephemeral-storage)$|^hugepages-/
const LIMITED = ['cpu', 'memory', 'ephemeral-storage']

/** Charges of a pod, by the names that quotas have for them; none of one that has ended. */
export function podCharges({ spec = {}, status }: Pod): Amounts {
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') return new Map()
  const charges = new Map<string, bigint>()
  for (const [name, amount] of amountsOf(spec, 'requests')) {
    charges.set(`requests.${name}`, amount)
    if (BOTH_NAMES.test(name)) charges.set(name, amount)
  }
  for (const [name, amount] of amountsOf(spec, 'limits')) {
    if (LIMITED.includes(name)) charges.set(`limits.${name}`, amount)
  }
  return charges
}

/** The most it takes at any time: all containers together, or one that runs before them. */
function amountsOf(spec: NonNullable<Pod['spec']>, list: 'requests' | 'limits'): Amounts {
  const read = ({ resources }: Container) => readAmounts(resources?.[list])
  let running: Amounts = (spec.containers ?? []).map(read).reduce(addAmounts, new Map())
  let sidecars: Amounts = new Map()
  let starting: Amounts = new Map()
  for (const container of spec.initContainers ?? []) {
    if (container.restartPolicy === 'Always') sidecars = addAmounts(sidecars, read(container))
    else starting = largerOf(starting, addAmounts(sidecars, read(container)))
  }
  running = largerOf(addAmounts(running, sidecars), starting)
  // What is said for the pod as a whole takes the place of what its containers say.
  const whole = new Map([...running, ...readAmounts(spec.resources?.[list])])
  return addAmounts(whole, readAmounts(spec.overhead))
}
