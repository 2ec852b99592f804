import type { Vmi } from '../../kinds/kubevirt.ts'
import { keyOf } from '../../kinds/meta.ts'
import { RESOURCE_QUOTAS } from '../../kinds/table.ts'
import { hasReason } from '../../lib/errors.ts'
import { openWorkQueue } from '../../lib/work-queue.ts'
import { RESERVATION_MS } from '../../quota/reservations.ts'
import { watchQueue } from '../../metrics/queues.ts'
import type { Informer } from '../../store/cache.ts'
import { splitKey } from '../keys.ts'
import type { ControllerParts } from '../parts.ts'
import { reconcileQuota } from './reconcile.ts'

/** The caches this controller reads; `vmis` is filled. */
export interface QuotaCaches {
  vmis: Informer<Vmi>
}

/** A running controller of quotas. */
export interface QuotaController extends AsyncDisposable {
  /** Looks at all quotas again. */
  lookAtAll(): void
}

const WORKERS = 2

/**
 * Keeps the usage of quotas true where guests are charged to quotas that kube-apiserver keeps as well. Not in embedded
 * mode, whose database keeps its own books. The queue's keys are those of quotas.
 */
export function startQuotaController(parts: ControllerParts, { vmis }: QuotaCaches): QuotaController {
  const { clock, log, store } = parts
  const quotas = parts.openInformer(store, RESOURCE_QUOTAS, {}, { clock, log })
  const gone = new Recent(parts)
  const queue = openWorkQueue({
    watch: watchQueue(parts.metrics, 'virt-controller-quota'),
    workers: WORKERS,
    clock,
    run: (key) =>
      reconcileQuota(
        {
          store,
          clock,
          quotas,
          guests: (namespace) => vmis.list().filter(({ metadata }) => metadata.namespace === namespace),
          isGone: (uid) => gone.has(uid),
          again: (delayMs) => queue.addAfter(key, delayMs),
        },
        ...splitKey(key),
      ),
    onError(key, error, retryMs) {
      const isRace = hasReason(error, 'Conflict', 'NotFound')
      log[isRace ? 'debug' : 'warn']({ err: error, quota: key, retryMs }, 'quota is tried again')
    },
  })
  const addAll = (namespace?: string): void => {
    for (const { metadata } of quotas.list()) {
      if (namespace === undefined || metadata.namespace === namespace) queue.add(keyOf(metadata))
    }
  }
  quotas.onChange((_before, after) => {
    if (after) queue.add(keyOf(after.metadata))
  })
  const following = vmis.onChange((before, after) => {
    if (before && before.metadata.uid !== after?.metadata.uid) gone.add(before.metadata.uid)
    if (isOfInterest(before, after)) addAll((after ?? before)?.metadata.namespace)
  })
  return {
    lookAtAll: () => addAll(),
    async [Symbol.asyncDispose]() {
      following[Symbol.dispose]()
      await Promise.all([queue, quotas].map((each) => each[Symbol.asyncDispose]()))
    },
  }
}

/** Most changes of a guest say where it stands, and nothing of what it takes. */
function isOfInterest(before: Vmi | undefined, after: Vmi | undefined): boolean {
  if (!before || !after) return true
  return (
    before.metadata.uid !== after.metadata.uid ||
    before.metadata.generation !== after.metadata.generation ||
    before.status?.phase !== after.status?.phase
  )
}

/** UIDs of guests that have gone, for as long as anything may be reserved for them. */
class Recent {
  readonly #goneAtMs = new Map<string, number>()
  readonly #clock: ControllerParts['clock']

  constructor({ clock }: Pick<ControllerParts, 'clock'>) {
    this.#clock = clock
  }

  add(uid: string): void {
    const now = this.#clock.now()
    for (const [old, atMs] of this.#goneAtMs) {
      if (now - atMs < RESERVATION_MS) break
      this.#goneAtMs.delete(old)
    }
    this.#goneAtMs.set(uid, now)
  }

  has(uid: string): boolean {
    return this.#goneAtMs.has(uid)
  }
}
