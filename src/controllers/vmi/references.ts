import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { attachmentKeyOf, type AttachmentConfig, readAttachment } from '../../kinds/network-attachment.ts'
import { CONFIGMAPS, NETWORK_ATTACHMENTS, SECRETS } from '../../kinds/table.ts'
import type { ResolvedData } from '../../rpc/actions.ts'
import type { ObjectReader } from '../../store/store.ts'

/** A Secret, a ConfigMap or a NetworkAttachmentDefinition that a guest's spec names. */
export interface Reference {
  kind: 'Secret' | 'ConfigMap' | 'NetworkAttachmentDefinition'
  /** That of a network may have its namespace before it: `NAMESPACE/NAME`. */
  name: string
  /** The guest may start without it. */
  optional: boolean
}

/** What a spec's references hold, and which of them do not exist. */
export interface Resolved {
  secrets: ResolvedData
  configMaps: ResolvedData
  /** By name as it stands in the spec. */
  networks: Record<string, AttachmentConfig>
  missing: Reference[]
}

/** What the guest's node needs the contents of. */
export function referencesOf(spec: VmiSpec): Reference[] {
  const container = spec.domain.firmware?.kernelBoot?.container
  return [
    ...secret(container?.imagePullSecret),
    ...(spec.volumes ?? []).flatMap(volumeReferences),
    ...(spec.accessCredentials ?? []).flatMap(({ sshPublicKey, userPassword }) => [
      ...secret(sshPublicKey?.source.secret?.secretName),
      ...secret(userPassword?.source.secret?.secretName),
    ]),
    ...(spec.networks ?? []).flatMap(({ multus }) => network(multus?.networkName)),
  ]
}

function volumeReferences(volume: NonNullable<VmiSpec['volumes']>[number]): Reference[] {
  const cloudInits = [volume.cloudInitNoCloud, volume.cloudInitConfigDrive]
  return [
    ...secret(volume.containerDisk?.imagePullSecret),
    ...cloudInits.flatMap((source) => [
      ...secret(source?.secretRef?.name),
      ...secret(source?.networkDataSecretRef?.name),
    ]),
    ...secret(volume.secret?.secretName, volume.secret?.optional),
    ...configMap(volume.configMap?.name, volume.configMap?.optional),
    ...secret(volume.sysprep?.secret?.name),
    ...configMap(volume.sysprep?.configMap?.name),
  ]
}

function secret(name: string | undefined, optional = false): Reference[] {
  return name ? [{ kind: 'Secret', name, optional }] : []
}

function configMap(name: string | undefined, optional = false): Reference[] {
  return name ? [{ kind: 'ConfigMap', name, optional }] : []
}

function network(name: string | undefined): Reference[] {
  return name ? [{ kind: 'NetworkAttachmentDefinition', name, optional: false }] : []
}

/** Reads what the references of a spec hold, keys in base64, as they are in the store now. */
export async function resolveReferences(
  store: ObjectReader,
  namespace: string,
  spec: VmiSpec,
): Promise<Resolved> {
  const resolved: Resolved = { secrets: {}, configMaps: {}, networks: {}, missing: [] }
  for (const reference of referencesOf(spec)) {
    const isThere = await resolve(store, namespace, reference, resolved)
    if (!isThere && !reference.optional) resolved.missing.push(reference)
  }
  return resolved
}

async function resolve(
  store: ObjectReader,
  namespace: string,
  { kind, name }: Reference,
  resolved: Resolved,
): Promise<boolean> {
  if (kind === 'NetworkAttachmentDefinition') {
    const key = attachmentKeyOf(name, namespace)
    const network = await store.get(NETWORK_ATTACHMENTS, key.namespace, key.name)
    if (network) resolved.networks[name] = readAttachment(network)
    return network !== undefined
  }
  const isSecret = kind === 'Secret'
  const data = await (isSecret ? readSecret : readConfigMap)(store, namespace, name)
  if (data) (isSecret ? resolved.secrets : resolved.configMaps)[name] = data
  return data !== undefined
}

type Contents = Record<string, string> | undefined

async function readSecret(store: ObjectReader, namespace: string, name: string): Promise<Contents> {
  const object = await store.get(SECRETS, namespace, name)
  return object && { ...object.data }
}

async function readConfigMap(store: ObjectReader, namespace: string, name: string): Promise<Contents> {
  const object = await store.get(CONFIGMAPS, namespace, name)
  if (!object) return undefined
  const texts = Object.entries(object.data ?? {}).map(([key, text]) => [
    key,
    Buffer.from(text).toString('base64'),
  ])
  return { ...Object.fromEntries(texts), ...object.binaryData }
}
