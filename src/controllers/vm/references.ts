/** Keeps what a VM refers to as it was when the VM first did. Source: contract 7.2, `instancetypeRef`. */
import { findObject } from '../../instancetype/find.ts'
import { inferMatcher } from '../../instancetype/infer.ts'
import {
  INSTANCETYPE,
  InstancetypeError,
  kindOfMatcher,
  PREFERENCE,
  type Referable,
} from '../../instancetype/references.ts'
import { buildReferenceRevision } from '../../instancetype/revision.ts'
import type { Matcher, StatusRef } from '../../kinds/instancetype.ts'
import { configurationOf, referencePolicyOf } from '../../kinds/configuration.ts'
import { isFinal, type Vm, type VmStatus } from '../../kinds/kubevirt.ts'
import { CONTROLLER_REVISIONS, VMS } from '../../kinds/table.ts'
import { hasReason } from '../../lib/errors.ts'
import type { Store } from '../../store/store.ts'
import { ownerReferenceTo } from '../owner-reference.ts'
import { mayVmUse, readAs } from './account.ts'
import type { VmContext } from './reconcile.ts'
import type { VmPass } from './status.ts'
import { refuse } from './steps.ts'

/** Milliseconds between looks for an instance type that is not there yet: they are not watched. */
const POLL_MS = 5_000

/**
 * Writes out what the VM refers to where the KubeVirt configuration says so, or notes in its status which revisions of
 * its instance type and preference it uses, before anything is made of them. Returns whether all are there; what is missing is told in the pass, and looked for again.
 */
export async function keepReferences(context: VmContext, pass: VmPass): Promise<boolean> {
  const { store } = context
  try {
    if (isToBeExpanded(context, pass)) pass.vm = await writeOut(context, pass.vm)
    const status: VmStatus = { ...pass.vm.status }
    const changed = [INSTANCETYPE, PREFERENCE].map((what) => noteReference(context, pass.vm, what, status))
    if ((await Promise.all(changed)).includes(true)) {
      pass.vm = await store.update(VMS, { ...pass.vm, status }, { subresource: 'status' })
    }
    return true
  } catch (error) {
    if (!(error instanceof InstancetypeError)) throw error
    refuse(context, pass, error.message)
    context.again(POLL_MS)
    return false
  }
}

/**
 * Whether the VM's references are to become part of its spec. `expand` leaves those alone of which a revision is kept
 * or named; `expandAll` none. A guest that runs goes on as it was made: its VM is written out before the next one.
 * Source: "Reference policies" in KubeVirt's user guide on instance types.
 */
function isToBeExpanded({ kubeVirts }: VmContext, { vm, vmi }: VmPass): boolean {
  const policy = referencePolicyOf(configurationOf(kubeVirts.list()))
  const { instancetype, preference } = vm.spec
  if (policy === 'reference' || !(instancetype || preference)) return false
  if (vmi && !isFinal(vmi.status?.phase)) return false
  return policy === 'expandAll' || ![INSTANCETYPE, PREFERENCE].some((what) => isCaptured(vm, what))
}

function isCaptured({ spec, status }: Vm, { field, ref }: Referable): boolean {
  return Boolean(spec[field]?.revisionName || status?.[ref]?.controllerRevisionRef?.name)
}

/** What is noted of the references goes with the next step, as for a VM that has lost them. */
async function writeOut(context: VmContext, vm: Vm): Promise<Vm> {
  const { spec } = await context.expander.expandVm(vm, mayVmUse(context, vm))
  return context.store.update(VMS, { ...vm, spec })
}

/** Whether `status` had to be changed. */
async function noteReference(
  context: VmContext,
  vm: Vm,
  what: Referable,
  status: VmStatus,
): Promise<boolean> {
  const matcher = vm.spec[what.field]
  const noted = status[what.ref]
  if (matcher && isNoted(what, matcher, noted)) return false
  const named = matcher && (await inferMatcher(readAs(context, vm), vm, what))
  if (named) status[what.ref] = await buildReference(context.store, vm, what, { ...matcher, ...named })
  else delete status[what.ref]
  return named !== undefined || noted !== undefined
}

function isNoted(what: Referable, matcher: Matcher, noted: StatusRef | undefined): boolean {
  const revision = noted?.controllerRevisionRef?.name
  if (!noted || !revision) return false
  if (matcher.inferFromVolume) return noted.inferFromVolume === matcher.inferFromVolume
  if (matcher.revisionName && matcher.revisionName !== revision) return false
  return noted.name === matcher.name && noted.kind === kindOfMatcher(what, matcher)?.kind
}

async function buildReference(store: Store, vm: Vm, what: Referable, matcher: Matcher): Promise<StatusRef> {
  const { name, revisionName, inferFromVolume, inferFromVolumeFailurePolicy } = matcher
  const kind = kindOfMatcher(what, matcher)?.kind
  return {
    ...(name && { name }),
    ...(kind && { kind }),
    controllerRevisionRef: { name: revisionName || (await keepRevision(store, vm, what, matcher)) },
    ...(inferFromVolume && { inferFromVolume }),
    ...(inferFromVolumeFailurePolicy && { inferFromVolumeFailurePolicy }),
  }
}

/** Its name says which generation of which object it holds, so one that is there already is the same. */
async function keepRevision(store: Store, vm: Vm, what: Referable, matcher: Matcher): Promise<string> {
  const object = await findObject(store, vm.metadata.namespace, what, matcher)
  const revision = buildReferenceRevision(vm, object, ownerReferenceTo(VMS, vm))
  try {
    await store.create(CONTROLLER_REVISIONS, revision)
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) throw error
  }
  return revision.metadata.name ?? ''
}
