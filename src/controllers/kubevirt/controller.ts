import { formatTime } from '../../lib/clock.ts'
import { hasReason } from '../../lib/errors.ts'
import { isSameJson } from '../../lib/json.ts'
import { openWorkQueue } from '../../lib/work-queue.ts'
import type { WorkQueue } from '../../lib/work-queue.ts'
import type { Node } from '../../kinds/core.ts'
import type { KubeVirt } from '../../kinds/kubevirt.ts'
import { keyOf } from '../../kinds/meta.ts'
import type { Condition } from '../../kinds/meta.ts'
import { KUBEVIRTS } from '../../kinds/table.ts'
import { watchQueue } from '../../metrics/queues.ts'
import type { Informer } from '../../store/cache.ts'
import { withCondition } from '../conditions.ts'
import { splitKey } from '../keys.ts'
import type { ControllerConfig, ControllerParts } from '../parts.ts'
import { architectureOf, workerArchitecture } from './architecture.ts'

const CONDITIONS: readonly Condition[] = [
  { type: 'Created', status: 'True', reason: 'AllResourcesCreated', message: 'All resources were created.' },
  { type: 'Available', status: 'True', reason: 'AllComponentsReady', message: 'All components are ready.' },
  {
    type: 'Progressing',
    status: 'False',
    reason: 'AllComponentsReady',
    message: 'All components are ready.',
  },
  { type: 'Degraded', status: 'False', reason: 'AllComponentsReady', message: 'All components are ready.' },
]

/** Where `virtctl guestfs` finds the tools image of the version that is observed. */
const IMAGE_REGISTRY = 'quay.io/kubevirt'
/** Nothing differs from what follows from registry and version. */
const NO_DEPLOYMENT_CONFIG = '{}'

/**
 * The status by which clients see that KubeVirt's API is served, and which version of it; `architecture` is what guests get
 * that ask for none.
 */
export function buildKubeVirtStatus(
  before: KubeVirt['status'],
  { kubeVirtVersion, architecture }: Pick<ControllerConfig, 'kubeVirtVersion'> & { architecture?: string },
  now: string,
): NonNullable<KubeVirt['status']> {
  const conditions = CONDITIONS.reduce<readonly Condition[]>(
    (list, condition) => withCondition(list, condition, now),
    before?.conditions ?? [],
  )
  const { defaultArchitecture: _before, ...others } = before ?? {}
  return {
    ...others,
    phase: 'Deployed',
    observedKubeVirtVersion: kubeVirtVersion,
    observedKubeVirtRegistry: before?.observedKubeVirtRegistry ?? IMAGE_REGISTRY,
    observedDeploymentConfig: before?.observedDeploymentConfig ?? NO_DEPLOYMENT_CONFIG,
    // Webhooks go by it: without one, guests that ask for no architecture are refused.
    ...(architecture !== undefined && { defaultArchitecture: architecture }),
    conditions: [...conditions],
  }
}

/** The caches this controller reads. */
interface KubeVirtCaches {
  kubeVirts: Informer<KubeVirt>
  nodeObjects: Informer<Node>
}

/** Keeps the status of the KubeVirt object, where there is one. The queue's keys are those of KubeVirt objects. */
export function startKubeVirtController(
  parts: ControllerParts,
  { kubeVirts, nodeObjects }: KubeVirtCaches,
): WorkQueue {
  const { store, clock, config, log } = parts
  const queue = openWorkQueue({
    watch: watchQueue(parts.metrics, 'virt-controller-kubevirt'),
    workers: 1,
    clock,
    async run(key) {
      const object = kubeVirts.get(...splitKey(key))
      if (!object || object.metadata.deletionTimestamp !== undefined) return
      const before = object.status?.defaultArchitecture
      const ofWorkers = config.architecture && architectureOf(nodeObjects.list(), before)
      const architecture = ofWorkers || before || config.architecture
      const told = { ...config, ...(architecture && { architecture }) }
      const status = buildKubeVirtStatus(object.status, told, formatTime(clock.now()))
      if (isSameJson(status, object.status)) return
      await store.update(KUBEVIRTS, { ...object, status }, { subresource: 'status' })
    },
    onError(key, error, retryMs) {
      const isRace = hasReason(error, 'Conflict')
      log[isRace ? 'debug' : 'warn']({ err: error, kubevirt: key, retryMs }, 'KubeVirt object is tried again')
    },
  })
  kubeVirts.onChange((_before, after) => {
    if (after) queue.add(keyOf(after.metadata))
  })
  const lookAtAll = (): void => {
    for (const { metadata } of kubeVirts.list()) queue.add(keyOf(metadata))
  }
  nodeObjects.onChange((before, after) => {
    if (workerArchitecture(before) !== workerArchitecture(after)) lookAtAll()
  })
  lookAtAll()
  return queue
}
