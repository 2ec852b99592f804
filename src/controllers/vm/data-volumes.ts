import { reviewClone, type DataVolumeTemplate } from '../../instancetype/clone-sources.ts'
import { hasReason, notFound } from '../../lib/errors.ts'
import { deriveVm } from '../../instancetype/derive.ts'
import type { DataVolume } from '../../kinds/cdi.ts'
import type { PersistentVolumeClaim } from '../../kinds/core.ts'
import { apiVersionOf, refusedKind } from '../../kinds/kind.ts'
import type { Vm } from '../../kinds/kubevirt.ts'
import { DATA_SOURCES, DATA_VOLUMES, VMS } from '../../kinds/table.ts'
import type { Informer } from '../../store/cache.ts'
import { ownerReferenceTo } from '../owner-reference.ts'
import { mayVmUse, readAs } from './account.ts'
import type { VmContext } from './reconcile.ts'

/** Milliseconds between looks at DataVolumes that are being filled: they are not watched. */
export const DATA_VOLUME_POLL_MS = 5_000

const LATER_ANNOTATION = 'kubevirt.io/immediate-data-volume-creation'

type DataVolumeSpec = NonNullable<DataVolume['spec']>
type DataVolumeContext = Pick<VmContext, 'store' | 'foreignUses'>

/** How far the DataVolumes of a VM's templates are. */
export type DataVolumeState = 'ready' | 'filling' | 'failed'

/** Whether the VM's DataVolumes are made with it, rather than with its first start. */
export function wantsDataVolumesNow({ metadata }: Vm): boolean {
  return metadata.annotations?.[LATER_ANNOTATION] !== 'false'
}

/**
 * Makes the DataVolumes of the VM's templates that are missing, where `create` says so, and tells how far they
 * all are. Throws what the store refuses, and 403 where the VM's service account may not have the data. Source: contract
 * 7.3, preliminaries.
 */
export async function ensureDataVolumes(
  context: DataVolumeContext,
  vm: Vm,
  create: boolean,
): Promise<DataVolumeState> {
  const states: DataVolumeState[] = []
  for (const template of vm.spec.dataVolumeTemplates ?? []) {
    const name = template.metadata?.name
    if (!name) continue
    const present = await context.store.get(DATA_VOLUMES, vm.metadata.namespace, name)
    if (present) states.push(stateOf(present))
    else if (create) states.push(await createDataVolume(context, vm, name))
  }
  if (states.includes('failed')) return 'failed'
  return states.includes('filling') ? 'filling' : 'ready'
}

async function createDataVolume(context: DataVolumeContext, vm: Vm, name: string): Promise<DataVolumeState> {
  const { spec } = await deriveVm(readAs(context, vm), vm)
  const template = spec.dataVolumeTemplates?.find(({ metadata }) => metadata?.name === name)
  const draft = {
    apiVersion: apiVersionOf(DATA_VOLUMES),
    kind: DATA_VOLUMES.kind,
    metadata: {
      namespace: vm.metadata.namespace,
      name,
      labels: { ...template?.metadata?.labels },
      annotations: { ...template?.metadata?.annotations },
      ownerReferences: [ownerReferenceTo(VMS, vm)],
    },
    // Two packages name the same words.
    ...(template && { spec: (await settleSource(context, vm, template)) as DataVolumeSpec }),
  }
  try {
    await context.store.create(DATA_VOLUMES, draft)
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) throw error
  }
  return 'filling'
}

/**
 * The spec of a DataVolume that the VM's service account may have the data of. What its DataSource says now is written out:
 * it may say something else by the time that CDI looks, and CDI asks about our own rights then. Throws 404 where there
 * is no such DataSource.
 */
async function settleSource(
  context: DataVolumeContext,
  vm: Vm,
  template: DataVolumeTemplate,
): Promise<DataVolumeTemplate['spec']> {
  const { namespace } = vm.metadata
  const field = `the DataVolume "${template.metadata?.name}"`
  const source = await reviewClone(context.store, namespace, template, field, mayVmUse(context, vm))
  const { sourceRef, ...others } = structuredClone(template.spec)
  if (source) return { ...others, source }
  if (sourceRef?.kind === DATA_SOURCES.kind) throw notFound(refusedKind(DATA_SOURCES), sourceRef.name)
  return template.spec
}

/** Source: `status.phase` of a DataVolume. */
function stateOf({ status }: DataVolume): DataVolumeState {
  if (status?.phase === 'Succeeded') return 'ready'
  return status?.phase === 'Failed' ? 'failed' : 'filling'
}

/** Names of the claims that the VM's guest would use. */
export function claimsOf({ spec }: Pick<Vm, 'spec'>): string[] {
  return (spec.template.spec.volumes ?? []).flatMap(
    ({ persistentVolumeClaim, dataVolume }) => persistentVolumeClaim?.claimName ?? dataVolume?.name ?? [],
  )
}

/** Whether one of the VM's claims exists and waits to be bound. */
export function hasUnboundClaim(vm: Vm, claims: Pick<Informer<PersistentVolumeClaim>, 'get'>): boolean {
  return claimsOf(vm).some((name) => claims.get(vm.metadata.namespace, name)?.status?.phase === 'Pending')
}
