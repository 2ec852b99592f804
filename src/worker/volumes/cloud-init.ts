import { FieldPath } from '../../lib/field-path.ts'
import { invalidConfig } from '../../qemu/argv/error.ts'
import { macOf } from '../../qemu/argv/mac.ts'
import { contentsOf, type Volume, type VolumeContext, type VolumeMaker } from './context.ts'
import { makeDataImage } from './data-image.ts'
import { type Propagation, sshKeys } from './ssh-keys.ts'

type Source = NonNullable<Volume['cloudInitNoCloud']>

/** What cloud-init in the guest is given. */
interface Seed {
  userData: Buffer | undefined
  networkData: Buffer | undefined
  /** Index → public key of SSH. */
  publicKeys: Record<string, string>
}

/**
 * A seed in the NoCloud form. Source: contract 1.7, "Generated images";
 * https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html
 */
export const makeNoCloud: VolumeMaker<Source> = async (source, place, context) => {
  const { userData, networkData, publicKeys } = readSeed(source, 'noCloud', place.at, context)
  const { vmi } = context.request
  const meta = {
    'instance-id': vmi.spec.domain.firmware?.uuid || vmi.metadata.uid,
    'local-hostname': vmi.spec.hostname || vmi.metadata.name,
    ...instanceType(context, 'instance-type'),
    ...(Object.keys(publicKeys).length > 0 && { 'public-keys': publicKeys }),
  }
  const files = {
    'meta-data': JSON.stringify(meta),
    // cloud-init takes a seed without user data for none at all.
    'user-data': userData ?? '',
    ...(networkData && { 'network-config': networkData }),
  }
  return makeDataImage({ label: 'cidata', files }, place, context)
}

/**
 * A seed as OpenStack's config drive. Source: contract 1.7;
 * https://cloudinit.readthedocs.io/en/latest/reference/datasources/configdrive.html
 */
export const makeConfigDrive: VolumeMaker<Source> = async (source, place, context) => {
  const { userData, networkData, publicKeys } = readSeed(source, 'configDrive', place.at, context)
  const { vmi } = context.request
  const meta = {
    instance_id: `${vmi.metadata.name}.${vmi.metadata.namespace}`,
    uuid: vmi.spec.domain.firmware?.uuid || vmi.metadata.uid,
    hostname: vmi.spec.hostname || vmi.metadata.name,
    ...instanceType(context, 'instance_type'),
    ...(Object.keys(publicKeys).length > 0 && { public_keys: publicKeys }),
    ...taggedCards(context),
  }
  const folder = 'openstack/latest'
  const files = {
    [`${folder}/meta_data.json`]: JSON.stringify(meta),
    ...(userData && { [`${folder}/user_data`]: userData }),
    ...(networkData && { [`${folder}/network_data.json`]: networkData }),
  }
  return makeDataImage({ label: 'config-2', files }, place, context)
}

const INTERFACES = new FieldPath('spec.domain.devices.interfaces')

/** Network cards that have a tag, by which the guest can tell them apart. */
function taggedCards({ request }: VolumeContext): { devices?: object[] } {
  const { spec, metadata } = request.vmi
  const devices = (spec.domain.devices.interfaces ?? []).flatMap((card, index) => {
    const { tag } = card
    return tag
      ? [{ type: 'nic', bus: 'pci', mac: macOf(metadata, card, INTERFACES.index(index)), tags: [tag] }]
      : []
  })
  return devices.length > 0 ? { devices } : {}
}

const INSTANCE_TYPE_ANNOTATIONS = ['kubevirt.io/instancetype-name', 'kubevirt.io/cluster-instancetype-name']

function instanceType({ request }: VolumeContext, key: string): Record<string, string> {
  const { annotations = {} } = request.vmi.metadata
  const name = INSTANCE_TYPE_ANNOTATIONS.map((annotation) => annotations[annotation]).find(Boolean)
  return name ? { [key]: name } : {}
}

function readSeed(source: Source, way: Propagation, at: FieldPath, context: VolumeContext): Seed {
  const userData =
    fromSecret(source.secretRef?.name, ['userdata', 'userData'], at.child('secretRef'), context) ??
    inline(source.userDataBase64, source.userData, at.child('userDataBase64'))
  const networkSecret = source.networkDataSecretRef?.name
  const networkData =
    fromSecret(networkSecret, ['networkdata', 'networkData'], at.child('networkDataSecretRef'), context) ??
    // A secret of user data may hold network data, too.
    (networkSecret ? undefined : optionalNetworkData(source, at, context)) ??
    inline(source.networkDataBase64, source.networkData, at.child('networkDataBase64'))
  if (!userData && !networkData) {
    throw invalidConfig(
      at,
      'has neither user data nor network data: give userData, userDataBase64 or secretRef',
    )
  }
  return { userData, networkData, publicKeys: sshKeys(way, context) }
}

function optionalNetworkData(source: Source, at: FieldPath, context: VolumeContext): Buffer | undefined {
  const name = source.secretRef?.name
  if (!name) return undefined
  const data = contentsOf('Secret', name, at.child('secretRef'), context)
  return data.networkdata ?? data.networkData
}

function fromSecret(
  name: string | undefined,
  keys: readonly [string, string],
  at: FieldPath,
  context: VolumeContext,
): Buffer | undefined {
  if (!name) return undefined
  const data = contentsOf('Secret', name, at, context)
  const found = keys.map((key) => data[key]).find((value) => value !== undefined)
  if (found) return found
  throw invalidConfig(at, `the Secret "${name}" has no key ${keys.join(' or ')}: add it`)
}

const BASE64 = /^[A-Za-z0-9+/\s]*=*\s*$/

function inline(base64: string | undefined, text: string | undefined, at: FieldPath): Buffer | undefined {
  if (text) return Buffer.from(text)
  if (!base64) return undefined
  if (!BASE64.test(base64))
    throw invalidConfig(at, 'is not base64: encode it, or use the field without Base64')
  return Buffer.from(base64, 'base64')
}
