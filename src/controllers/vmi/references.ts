import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { CONFIGMAPS, SECRETS } from '../../kinds/table.ts'
import type { ResolvedData } from '../../rpc/actions.ts'
import type { ObjectReader } from '../../store/store.ts'

/** A Secret or ConfigMap that a guest's spec names. */
export interface Reference {
  kind: 'Secret' | 'ConfigMap'
  name: string
  /** The guest may start without it. */
  optional: boolean
}

/** What a spec's references hold, and which of them do not exist. */
export interface Resolved {
  secrets: ResolvedData
  configMaps: ResolvedData
  missing: Reference[]
}

/** Secrets and ConfigMaps that the guest's node needs the contents of. */
export function referencesOf(spec: VmiSpec): Reference[] {
  const container = spec.domain.firmware?.kernelBoot?.container
  return [
    ...secret(container?.imagePullSecret),
    ...(spec.volumes ?? []).flatMap(volumeReferences),
    ...(spec.accessCredentials ?? []).flatMap(({ sshPublicKey, userPassword }) => [
      ...secret(sshPublicKey?.source.secret?.secretName),
      ...secret(userPassword?.source.secret?.secretName),
    ]),
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

/** Reads what the references of a spec hold, keys in base64, as they are in the store now. */
export async function resolveReferences(
  store: ObjectReader,
  namespace: string,
  spec: VmiSpec,
): Promise<Resolved> {
  const resolved: Resolved = { secrets: {}, configMaps: {}, missing: [] }
  for (const reference of referencesOf(spec)) {
    const isSecret = reference.kind === 'Secret'
    const data = isSecret
      ? await readSecret(store, namespace, reference.name)
      : await readConfigMap(store, namespace, reference.name)
    if (data) (isSecret ? resolved.secrets : resolved.configMaps)[reference.name] = data
    else if (!reference.optional) resolved.missing.push(reference)
  }
  return resolved
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
