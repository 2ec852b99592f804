import type { FieldPath } from '../../lib/field-path.ts'
import type { MachinePlan } from '../plan.ts'
import { type Build, virtioDriver, virtioPlace } from './build.ts'
import type { DeviceArgs } from './command-line.ts'
import { invalidConfig, unsupportedDevice } from './error.ts'
import { macOf } from './mac.ts'
import type { Place } from './ports.ts'
import { checkName, DEVICES, deviceId, type InterfaceSpec, oneOf, SPEC } from './spec.ts'
import { buildTapNetwork, mtuOf } from './tap-network.ts'
import { buildUserNetwork } from './user-network.ts'

/** Bindings of the API that this node does not have, with `binding` for plug-ins. */
const OTHER_BINDINGS = ['sriov', 'passtBinding', 'binding', 'slirp', 'macvtap', 'passt'] as const
const MODELS = ['virtio', 'e1000', 'e1000e', 'igb', 'ne2k_pci', 'pcnet', 'rtl8139'] as const
/** Those that are PCIe devices; the others are conventional ones. */
const EXPRESS: readonly string[] = ['e1000e', 'igb']
const ACPI_INDEX_LIMIT = 16_383
const INTERFACES = DEVICES.child('interfaces')
type Network = NonNullable<MachinePlan['spec']['networks']>[number]

const POD_INTERFACE: InterfaceSpec = { name: 'default', masquerade: {} }

/** A card for every interface; one on the pod's network where the spec names none and does not decline. */
export function addNetwork(build: Build): void {
  const { interfaces = [], autoattachPodInterface } = build.plan.spec.domain.devices
  const { networks = [] } = build.plan.spec
  if (interfaces.length === 0 && networks.length === 0) {
    if (autoattachPodInterface !== false) addCard(build, POD_INTERFACE, INTERFACES)
    return
  }
  checkAcpiIndexes(interfaces)
  networks.forEach(({ name }, index) => {
    if (interfaces.some((iface) => iface.name === name)) return
    throw invalidConfig(
      SPEC.child('networks').index(index),
      `no interface is on the network ${name}: add one with that name, or remove the network`,
    )
  })
  interfaces.forEach((iface, index) => {
    const at = INTERFACES.index(index)
    checkBinding(build, iface, at)
    if (iface.state !== 'absent') addCard(build, iface, at)
  })
}

/** Device ids of the cards whose cable is out: `set_link` them before the guest runs. */
export function linksDownOf({ domain }: { domain: { devices: { interfaces?: InterfaceSpec[] } } }): string[] {
  return (domain.devices.interfaces ?? [])
    .map(({ name, state }, index) => ({ state, id: deviceId(name, INTERFACES.index(index).child('name')) }))
    .filter(({ state }) => state === 'down')
    .map(({ id }) => id)
}

function checkBinding({ plan }: Build, iface: InterfaceSpec, at: FieldPath): void {
  const other = OTHER_BINDINGS.find((binding) => iface[binding] !== undefined)
  if (other)
    throw unsupportedDevice(
      at.child(other),
      'this node connects guests by masquerade and bridge only: use masquerade: {} on the pod network',
    )
  if (!iface.masquerade && !iface.bridge) throw invalidConfig(at, 'has no binding: add masquerade: {}')
  oneOf(iface.state, ['up', 'down', 'absent'], 'up', at.child('state'))
  const networks = plan.spec.networks ?? []
  const index = networks.findIndex(({ name }) => name === iface.name)
  const network = networks[index]
  if (!network)
    throw invalidConfig(at.child('name'), `there is no network ${iface.name}: add it to spec.networks`)
  if (iface.bridge) return checkTap(network, at, SPEC.child('networks').index(index))
  if (network.pod) return
  if (network.multus) {
    throw unsupportedDevice(at.child('masquerade'), 'is for the pod network only: use bridge: {} on this one')
  }
  throw invalidConfig(SPEC.child('networks').index(index), 'is a network of no kind: add pod: {}')
}

function checkTap({ pod, multus }: Network, at: FieldPath, networkAt: FieldPath): void {
  if (multus) return
  if (pod) {
    throw unsupportedDevice(
      at.child('bridge'),
      'this node has no bridge for the pod network: use masquerade: {}, or multus with a NetworkAttachmentDefinition',
    )
  }
  throw invalidConfig(networkAt, 'is a network of no kind: add multus with a networkName')
}

function addCard(build: Build, iface: InterfaceSpec, at: FieldPath): void {
  const { plan, line, bootIndexes, vcpus } = build
  const id = deviceId(iface.name, at.child('name'))
  const netdev = `hn-${checkName(iface.name, at.child('name'))}`
  if (plan.spec.domain.devices.networkInterfaceMultiqueue && vcpus > 1) {
    build.degrade(
      DEVICES.child('networkInterfaceMultiqueue'),
      `${String(at)} has one queue, as have all cards on this node`,
    )
  }
  const bootindex = bootIndexes.get(id)
  const backend = iface.bridge
    ? buildTapNetwork(build, iface, netdev, at)
    : buildUserNetwork(build, iface, netdev, at)
  line.json('-netdev', backend)
  line.device(at.child('model'), {
    ...modelOf(build, iface, id, at),
    id,
    netdev,
    mac: macOf(plan, iface, at),
    ...mtuOf(build, iface),
    // Without a boot ROM the firmware does not stop to look for a network.
    ...(bootindex === undefined ? { romfile: '', rombar: 0 } : { bootindex }),
    ...(iface.acpiIndex !== undefined && { 'acpi-index': iface.acpiIndex }),
  })
}

function modelOf(build: Build, { model }: InterfaceSpec, id: string, at: FieldPath): DeviceArgs & Place {
  const known = oneOf(model, MODELS, 'virtio', at.child('model'))
  const { major } = build.plan.qemuVersion
  if (known === 'igb' && major < 8) {
    throw unsupportedDevice(
      at.child('model'),
      `igb needs QEMU 8.0, and this node has ${major}: use e1000e or virtio`,
    )
  }
  if (known === 'virtio') return { driver: virtioDriver(build, 'net'), ...virtioPlace(build, id, at) }
  const place = EXPRESS.includes(known) ? build.ports.express(id, at) : build.ports.conventional(id, at)
  return { driver: known, ...place }
}

function checkAcpiIndexes(interfaces: readonly InterfaceSpec[]): void {
  const seen = new Set<number>()
  interfaces.forEach(({ acpiIndex }, index) => {
    if (acpiIndex === undefined) return
    const at = INTERFACES.index(index).child('acpiIndex')
    if (!Number.isInteger(acpiIndex) || acpiIndex < 1 || acpiIndex > ACPI_INDEX_LIMIT) {
      throw invalidConfig(at, `${acpiIndex} is no index: use 1 to ${ACPI_INDEX_LIMIT}`)
    }
    if (seen.has(acpiIndex))
      throw invalidConfig(at, `another interface has index ${acpiIndex} already: give each its own`)
    seen.add(acpiIndex)
  })
}
