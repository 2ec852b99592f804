import {
  badRequest,
  internalError,
  notFound,
  serviceUnavailable,
  StatusError,
  conflict,
} from '../lib/errors.ts'
import { refusedSubject } from '../kinds/kind.ts'
import type { Vm, Vmi } from '../kinds/kubevirt.ts'
import { VMIS, VMS } from '../kinds/table.ts'
import type { Actions, GuestRef } from '../rpc/actions.ts'
import type { Call } from './subresource.ts'

/** How refusals name a VM. */
export const VM = refusedSubject(VMS)
/** How refusals name a VMI. */
export const VMI = refusedSubject(VMIS)

type Target = Pick<Call, 'store' | 'namespace' | 'name'>

/** The VM the call is for. Throws 404. */
export async function getVm({ store, namespace, name }: Target): Promise<Vm> {
  const vm = await store.get(VMS, namespace, name)
  if (!vm) throw notFound(VM, name)
  return vm
}

/** The VMI of that name, if there is one. */
export async function findVmi({ store, namespace, name }: Target): Promise<Vmi | undefined> {
  return store.get(VMIS, namespace, name)
}

/** The VMI the call is for. Throws 404. */
export async function getVmi(target: Target): Promise<Vmi> {
  const vmi = await findVmi(target)
  if (!vmi) throw notFound(VMI, target.name)
  return vmi
}

/** Whether the VMI came from this VM: a stand-alone VMI may bear the same name (contract: F27). */
export function isOwnedBy(vmi: Vmi, vm: Vm): boolean {
  return vmi.metadata.ownerReferences?.some(({ uid }) => uid === vm.metadata.uid) ?? false
}

/** How a node knows the guest. */
export function guestOf({ metadata: { uid, namespace, name } }: Vmi): GuestRef {
  return { uid, namespace, name }
}

/**
 * The node the guest is on (contract 3.1.7). Throws 400 where its phase says that it is on none, 503 where the
 * node is not enrolled or does not answer.
 */
export function findNode(nodes: Call['nodes'], vmi: Vmi): Actions {
  const { name } = vmi.metadata
  const phase = vmi.status?.phase
  if (phase !== 'Running' && phase !== 'Scheduled') {
    throw badRequest(
      `${VMI.kind} "${name}" is on no node: its phase is "${phase ?? ''}" and must be Running or Scheduled`,
    )
  }
  return nodeOf(nodes, vmi)
}

/** The node that has the guest, also one that has ended. Throws 400 where it never was on one, 503 as `findNode`. */
export function nodeOf(nodes: Call['nodes'], { metadata: { name }, status }: Vmi): Actions {
  const nodeName = status?.nodeName
  if (!nodeName) throw badRequest(`${VMI.kind} "${name}" is on no node: status.nodeName is not set`)
  const node = nodes.find(nodeName)
  if (!node) {
    throw serviceUnavailable(`node "${nodeName}", which has ${VMI.kind} "${name}", is not available`)
  }
  return node
}

const STAYING = [429, 503, 504]

/**
 * Asks the guest's node for something and turns its refusal into one for the client: 409 stays, 429 (many ask already),
 * 503 (in use, or unreachable) and 504 (the guest does not answer) stay, everything else is 500 that quotes the node
 * (contract 3.1.7, step 6).
 */
export async function askNode<T>(
  nodes: Call['nodes'],
  vmi: Vmi,
  ask: (node: Actions, guest: GuestRef) => Promise<T>,
): Promise<T> {
  const node = findNode(nodes, vmi)
  try {
    return await ask(node, guestOf(vmi))
  } catch (error) {
    if (!(error instanceof StatusError) || STAYING.includes(error.code)) throw error
    // Workers word it as `conflict` does; what comes from below them may not.
    if (error.code === 409) throw isAboutVmi(error) ? error : conflict(VMI, vmi.metadata.name, error.message)
    throw internalError(`node "${vmi.status?.nodeName}" answered ${error.code}: ${error.message}`, error)
  }
}

function isAboutVmi({ details }: StatusError): boolean {
  return details?.kind === VMI.kind && details.group === VMI.group
}
