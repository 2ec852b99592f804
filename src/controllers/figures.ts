/** What the caches of the controllers tell at `/metrics`: of the objects, for as long as this process leads. */
import { configurationOf } from '../kinds/configuration.ts'
import type { ConfigMap, PersistentVolumeClaim } from '../kinds/core.ts'
import { INSTALL_NAMESPACE } from '../kinds/installation.ts'
import type { KubeVirt, Vm, Vmi, Vmim, VmiSpec } from '../kinds/kubevirt.ts'
import { CONFIGMAPS } from '../kinds/table.ts'
import type { Metrics } from '../metrics/exposition.ts'
import { migrationReadings, migrationTimes } from '../metrics/migrations.ts'
import type { MetricSource, Reading } from '../metrics/reading.ts'
import { watchTransitions } from '../metrics/transitions.ts'
import { outdatedReading, vmiReadings } from '../metrics/vmis.ts'
import { labelChoice, specReadings, vmReadings } from '../metrics/vms.ts'
import type { Informer } from '../store/cache.ts'
import type { ControllerParts } from './parts.ts'
import { mayVmUse } from './vm/account.ts'
import { guestConfig } from './vmi/config.ts'

/** The caches that are told of. */
export interface FigureCaches {
  vms: Informer<Vm>
  vmis: Informer<Vmi>
  vmims: Informer<Vmim>
  claims: Informer<PersistentVolumeClaim>
  kubeVirts: Informer<KubeVirt>
}

/** ConfigMap that says which labels of VMs are told. Source: contract metrics.md, section 3. */
const LABELS_CONFIG = 'kubevirt-vm-labels-config'

/** Expansions at the same time, in one scrape. */
const LANES = 8

/** Tells of the objects in `caches` until it is disposed of. */
export function tellOfObjects(parts: ControllerParts, metrics: Metrics, caches: FigureCaches): Disposable {
  const stack = new DisposableStack()
  const { vmi, migration } = watchTransitions(metrics, parts.clock)
  stack.use(caches.vmis.onChange(vmi))
  stack.use(caches.vmims.onChange(migration))
  stack.use(metrics.add(vmSource(parts, caches)))
  stack.use(metrics.add(specSource(parts, caches)))
  stack.use(metrics.add(vmiSource(caches)))
  stack.use(
    metrics.add({
      source: 'configuration',
      collect: () => [
        {
          name: 'kubevirt_configuration_emulation_enabled',
          labels: {},
          value: guestConfig({ ...parts, ...caches }).allowEmulation ? 1 : 0,
        },
      ],
    }),
  )
  return stack
}

function vmSource({ store, config }: ControllerParts, { vms, claims }: FigureCaches): MetricSource {
  const namespace = config.workerNamespace ?? INSTALL_NAMESPACE
  return {
    source: 'VMs',
    async collect() {
      const choice: ConfigMap | undefined = await store.get(CONFIGMAPS, namespace, LABELS_CONFIG)
      const isTold = labelChoice(choice?.data)
      return vms.list().flatMap((vm) => {
        const claim = (name: string) => claims.get(vm.metadata.namespace, name)
        return vmReadings(vm, { claim, isTold })
      })
    },
  }
}

/** Apart from the rest: instance types have to be looked up, once for each version of a VM's spec. */
function specSource(parts: ControllerParts, { vms }: FigureCaches): MetricSource {
  const known = new Map<string, { generation: number | undefined; spec: VmiSpec | undefined }>()
  async function specOf(vm: Vm): Promise<VmiSpec | undefined> {
    const { uid, generation } = vm.metadata
    if (!vm.spec.instancetype && !vm.spec.preference) return vm.spec.template.spec
    const present = known.get(uid)
    if (present && present.generation === generation) return present.spec
    // One whose instance type is missing asks for nothing that could be told.
    const expanded = await parts.expander.expandVm(vm, mayVmUse(parts, vm)).catch(() => undefined)
    const spec = expanded?.spec.template.spec
    if (spec) known.set(uid, { generation, spec })
    return spec
  }
  return {
    source: 'specs of VMs',
    async collect(signal) {
      const all = vms.list()
      const present = new Set(all.map(({ metadata }) => metadata.uid))
      for (const uid of known.keys()) if (!present.has(uid)) known.delete(uid)
      const readings: Reading[] = []
      const rest = all.values()
      const lane = async (): Promise<void> => {
        for (const vm of rest) {
          if (signal.aborted) return
          const spec = await specOf(vm)
          if (spec) readings.push(...specReadings(vm.metadata, spec))
        }
      }
      await Promise.all(Array.from({ length: LANES }, lane))
      return readings
    },
  }
}

function vmiSource({ vmis, vmims, kubeVirts }: FigureCaches): MetricSource {
  return {
    source: 'VMIs',
    collect() {
      const all = vmis.list()
      const { evictionStrategy } = configurationOf(kubeVirts.list())
      const byDefault = typeof evictionStrategy === 'string' ? evictionStrategy : undefined
      const migrations = vmims.list()
      const names = new Map(migrations.map(({ metadata }) => [metadata.uid, metadata.name]))
      return [
        ...all.flatMap((vmi) => vmiReadings(vmi, byDefault)),
        outdatedReading(all),
        ...migrationReadings(migrations),
        ...all.flatMap((vmi) => migrationTimes(vmi, (uid) => names.get(uid))),
      ]
    },
  }
}
