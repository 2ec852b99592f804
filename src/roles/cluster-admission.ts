/** What webhooks judge by where a Kubernetes API holds the objects. */
import { randomUUID } from 'node:crypto'
import type { AdmissionConfig } from '../admission/config.ts'
import type { ForeignUses } from '../auth/foreign-use.ts'
import type { AdmissionParts } from '../admission/judge.ts'
import {
  configOf,
  configurationFault,
  kubeVirtInUse,
  type Installation,
} from '../admission/kubevirt-config.ts'
import type { Kind } from '../kinds/kind.ts'
import type { KubeVirt } from '../kinds/kubevirt.ts'
import type { KubeObject } from '../kinds/meta.ts'
import { VMI_PRESETS } from '../kinds/table.ts'
import type { Clock } from '../lib/clock.ts'
import { copyJson } from '../lib/json.ts'
import type { Log } from '../lib/log.ts'
import type { Informer } from '../store/cache.ts'
import { openInformer } from '../store/informer.ts'
import type { ObjectReader, Selection, Store } from '../store/store.ts'
import { openClusterLimits } from './cluster-limits.ts'

/** What reviews are answered with. */
export interface ClusterAdmission extends AsyncDisposable {
  parts: AdmissionParts
  /** What has not been read yet and no review can do without; `undefined` where nothing. */
  missing(): string | undefined
}

/** What it is opened with. */
export interface ClusterAdmissionOptions {
  store: Store
  /** The KubeVirt objects, which somebody else follows. */
  kubeVirts: Pick<Informer<KubeVirt>, 'list' | 'synced'>
  installation: Installation
  /** What who writes objects may use of other namespaces. */
  foreignUses: ForeignUses
  clock: Clock
  log: Log
}

/** Follows presets, guests and LimitRanges; everything else that rules ask for is read as it is at that moment (contract: section 11). */
export function openClusterAdmission(options: ClusterAdmissionOptions): ClusterAdmission {
  const { store, kubeVirts, clock, log } = options
  const indexes = { namespace: ({ metadata }: KubeObject) => [metadata.namespace ?? ''] }
  const presets = openInformer(store, VMI_PRESETS, {}, { clock, log, indexes })
  const limits = openClusterLimits(store, clock, log)
  const waiting = new Set<string>()
  const waitFor = (what: string, { synced }: { synced: Promise<unknown> }): void => {
    waiting.add(what)
    void synced.then(() => waiting.delete(what))
  }
  waitFor('KubeVirt objects', kubeVirts)
  waitFor('VirtualMachineInstancePresets', presets)
  waitFor('VirtualMachineInstances and LimitRanges', limits)
  return {
    parts: {
      config: followConfig(options),
      reader: buildCachedReader(store, VMI_PRESETS, presets),
      foreignUses: options.foreignUses,
      limits,
      clock,
      newUid: randomUUID,
    },
    missing: () =>
      waiting.size > 0 ? `the ${[...waiting].join(' and ')} have not been read yet; see the log` : undefined,
    async [Symbol.asyncDispose]() {
      await Promise.all([presets, limits].map((each) => each[Symbol.asyncDispose]()))
    },
  }
}

/** The configuration of the moment; where that is no good as a whole, the last one that was (contract: section 9). */
function followConfig({ kubeVirts, installation, log }: ClusterAdmissionOptions): () => AdmissionConfig {
  let seen: { kubeVirt: KubeVirt | undefined } | undefined
  let config = configOf(undefined, installation)
  return () => {
    const kubeVirt = kubeVirtInUse(kubeVirts.list(), installation.namespace)
    // A cache gives out the same object until it has changed.
    if (seen && seen.kubeVirt === kubeVirt) return config
    seen = { kubeVirt }
    const fault = configurationFault(kubeVirt?.spec?.configuration)
    if (fault === undefined) config = configOf(kubeVirt, installation)
    else
      log.error({ fault }, 'the configuration of the KubeVirt object is not taken up: the one before stays')
    return config
  }
}

/** Lists one kind from memory, where a list is of one namespace and nothing else narrows it; all else is asked for. */
export function buildCachedReader<C extends KubeObject>(
  live: ObjectReader,
  cached: Kind<C>,
  cache: Informer<C>,
): ObjectReader {
  return {
    get: (kind, namespace, name) => live.get(kind, namespace, name),
    async list<T extends KubeObject>(kind: Kind<T>, selection: Selection = {}) {
      const { namespace, labelSelector, fieldSelector } = selection
      const isPlain = namespace !== undefined && labelSelector === undefined && fieldSelector === undefined
      if (kind.kind !== cached.kind || kind.group !== cached.group || !isPlain)
        return live.list(kind, selection)
      await cache.synced
      const items = cache.by('namespace', namespace).map((object) => copyJson(object))
      // The kind is the cached one, as its name says; its objects have its type.
      return { items: items as KubeObject[] as T[], resourceVersion: '' }
    },
  }
}
