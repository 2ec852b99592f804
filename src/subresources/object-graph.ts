/** Builds the graph of objects that a VM or a VMI depends on. Source: contract 3.13. */
import { INSTANCETYPE, kindOfMatcher, PREFERENCE, type Referable } from '../instancetype/references.ts'
import type { Kind } from '../kinds/kind.ts'
import type { Vm, Vmi, VmiSpec } from '../kinds/kubevirt.ts'
import type { KubeObject } from '../kinds/meta.ts'
import {
  CONFIGMAPS,
  CONTROLLER_REVISIONS,
  DATA_VOLUMES,
  NETWORK_ATTACHMENTS,
  PODS,
  PVCS,
  SECRETS,
  SERVICE_ACCOUNTS,
  VMIS,
  VMS,
} from '../kinds/table.ts'
import { graphNode, type GraphNode } from './object-graph-nodes.ts'
import type { Call } from './subresource.ts'

type Store = Pick<Call['store'], 'list'>

interface Owner {
  namespace: string
  name: string
}

/** Everything that a VM depends on: its guest, what that was made with, and what it uses. */
export async function buildVmGraph(store: Store, vm: Vm): Promise<GraphNode> {
  const owner = vm.metadata
  const guest = vm.status?.created
    ? [graphNode(VMIS, owner.namespace, owner.name, await launcherPods(store, owner))]
    : []
  const used = await dependencies(store, owner, vm.spec.template.spec)
  return graphNode(VMS, owner.namespace, owner.name, [...guest, ...references(vm), ...used])
}

/** Everything that a VMI depends on. */
export async function buildVmiGraph(store: Store, { metadata, spec }: Vmi): Promise<GraphNode> {
  const pods = await launcherPods(store, metadata)
  const used = await dependencies(store, metadata, spec)
  return graphNode(VMIS, metadata.namespace, metadata.name, [...pods, ...used])
}

/** The instance type and the preference, each with the revision that is used of it. */
function references({ metadata: { namespace }, spec, status }: Vm): GraphNode[] {
  const all: Referable[] = [INSTANCETYPE, PREFERENCE]
  return all.flatMap((what) => {
    const matcher = spec[what.field]
    if (!matcher) return []
    const noted = status?.[what.ref]
    const name = matcher.name || noted?.name
    const kind: Kind = kindOfMatcher(what, matcher) ?? what.cluster
    const revision = noted ? noted.controllerRevisionRef?.name : matcher.revisionName
    return [
      ...(name ? [graphNode(kind, namespace, name)] : []),
      ...(revision ? [graphNode(CONTROLLER_REVISIONS, namespace, revision)] : []),
    ]
  })
}

/** Pods that run the guest, where KubeVirt's own workers run it; virtgate's need none. */
async function launcherPods(store: Store, { namespace, name }: Owner): Promise<GraphNode[]> {
  const { items } = await store.list(PODS, { namespace, labelSelector: 'kubevirt.io=virt-launcher' })
  return items
    .filter((pod) => isPodOf(pod, name))
    .map(({ metadata }) => graphNode(PODS, namespace, metadata.name))
}

function isPodOf({ metadata: { ownerReferences = [], annotations } }: KubeObject, name: string): boolean {
  const isOwned = ownerReferences.some((owner) => owner.kind === VMIS.kind && owner.name === name)
  return isOwned || annotations?.['kubevirt.io/domain'] === name
}

/** What a guest uses: secrets, volumes and networks. */
async function dependencies(store: Store, owner: Owner, spec: VmiSpec): Promise<GraphNode[]> {
  const { namespace } = owner
  const node = (kind: Kind, name: string | undefined, children: GraphNode[] = []): GraphNode[] =>
    name ? [graphNode(kind, namespace, name, children)] : []
  const secrets = (spec.accessCredentials ?? []).flatMap(({ sshPublicKey, userPassword }) => [
    ...node(SECRETS, sshPublicKey?.source?.secret?.secretName),
    ...node(SECRETS, userPassword?.source?.secret?.secretName),
  ])
  const volumes = (spec.volumes ?? []).flatMap((volume) => {
    const cloudInit = volume.cloudInitNoCloud ?? volume.cloudInitConfigDrive
    const dataVolume = volume.dataVolume?.name
    return [
      ...node(DATA_VOLUMES, dataVolume, node(PVCS, dataVolume)),
      ...node(PVCS, volume.persistentVolumeClaim?.claimName),
      ...node(CONFIGMAPS, volume.configMap?.name),
      ...node(SECRETS, volume.secret?.secretName),
      ...node(SERVICE_ACCOUNTS, volume.serviceAccount?.serviceAccountName),
      ...node(SECRETS, cloudInit?.secretRef?.name),
      ...node(SECRETS, cloudInit?.networkDataSecretRef?.name),
    ]
  })
  return [...secrets, ...volumes, ...(await backendStorage(store, owner, spec)), ...networks(namespace, spec)]
}

/** Label on the claim that keeps the state of a guest's TPM and firmware: the name of the VM. */
const STATE_LABEL = 'persistent-state-for'

/** The claim for state that outlives the guest. It is made with the first start: until then there is none. */
async function backendStorage(store: Store, { namespace, name }: Owner, spec: VmiSpec): Promise<GraphNode[]> {
  if (!keepsState(spec)) return []
  const { items } = await store.list(PVCS, { namespace, labelSelector: `${STATE_LABEL}=${name}` })
  return items
    .filter(({ metadata }) => metadata.labels?.[STATE_LABEL] === name)
    .map(({ metadata }) => graphNode(PVCS, namespace, metadata.name))
}

/** Contract: admission-others.md, REST-011. */
function keepsState({ domain }: VmiSpec): boolean {
  const { tpm } = domain.devices ?? {}
  return (
    (tpm?.persistent === true && tpm.enabled !== false) ||
    domain.firmware?.bootloader?.efi?.persistent === true
  )
}

function networks(namespace: string, spec: VmiSpec): GraphNode[] {
  return (spec.networks ?? []).flatMap(({ multus }) => {
    if (!multus?.networkName) return []
    const [first = '', second] = multus.networkName.split('/', 2)
    return second === undefined
      ? [graphNode(NETWORK_ATTACHMENTS, namespace, first)]
      : [graphNode(NETWORK_ATTACHMENTS, first, second)]
  })
}
