import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { duplicateValue, invalidValue, requiredValue, unsupportedValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { isMacAddress, isPciAddress, isPortName } from './addresses.ts'
import { dhcpOptionsAreSound, portRangesAreSound } from './port-ranges.ts'
import {
  devicesOf,
  networksOf,
  repeatedNames,
  textOrEmpty,
  type Interface,
  type Network,
  type RuleConfig,
} from './rule.ts'

const STATES = ['', 'absent', 'down', 'up']
const MODELS = ['e1000', 'e1000e', 'igb', 'ne2k_pci', 'pcnet', 'rtl8139', 'virtio']
const RESERVED_MAC = '02:00:00:00:00:00'

/** Interfaces, each with its place and its network. */
function interfacesOf(spec: VmiSpec, at: FieldPath): [Interface, FieldPath, Network | undefined][] {
  const { interfaces = [] } = devicesOf(spec)
  if (interfaces.length === 0) return []
  const networks = networksOf(spec)
  const list = at.child('domain', 'devices', 'interfaces')
  return interfaces.map((entry, position) => {
    const network = networks.findLast(({ name }) => name === entry.name)
    return [entry, list.index(position), network]
  })
}

/** Bindings that are no longer there are not asked for. Contract: VMI-NETD-001, 002, 003. */
export function* bindingIsStillThere(spec: VmiSpec, at: FieldPath): Iterable<Cause> {
  for (const [entry, field] of interfacesOf(spec, at)) {
    for (const name of ['slirp', 'passt', 'macvtap'] as const) {
      if (entry[name])
        yield invalidValue(field.child(name), `${name} was removed from KubeVirt: use masquerade or bridge`)
    }
  }
}

/** Bindings whose gate was listed and is no longer there are not asked for. Contract: VMI-FGD-001, 002. */
export function* discontinuedBindingsAreUnused(spec: VmiSpec, { listedGates }: RuleConfig): Iterable<Cause> {
  const interfaces = devicesOf(spec).interfaces ?? []
  for (const gate of listedGates) {
    const binding = gate === 'Passt' ? 'passt' : gate === 'Macvtap' ? 'macvtap' : undefined
    if (!binding || !interfaces.some((entry) => entry[binding])) continue
    yield unsupportedValue('', `the feature gate ${gate} was removed from KubeVirt, and so was ${binding}`)
  }
}

/** The state of a link is one that exists and fits its binding. Contract: VMI-NET-007 … 010. */
export function* linkStateFits(spec: VmiSpec, at: FieldPath): Iterable<Cause> {
  const standard = networksOf(spec).find((network) => network.pod || network.multus?.default)
  for (const [{ state = '', sriov, bridge, name }, path] of interfacesOf(spec, at)) {
    const field = path.child('state')
    if (!STATES.includes(state)) yield invalidValue(field, `"${state}" is none of absent, down, up`)
    if (sriov && (state === 'down' || state === 'up'))
      yield invalidValue(field, 'the link of an SR-IOV interface cannot be set')
    if (state === 'absent' && !bridge) yield invalidValue(field, 'only bridge interfaces can be unplugged')
    if (state === 'absent' && standard?.name === name)
      yield invalidValue(field, 'the default network cannot be unplugged')
  }
}

/** An interface has one binding, and its network goes with it. Contract: VMI-NET-011 … 016. */
export function* bindingFitsNetwork(spec: VmiSpec, at: FieldPath, config: RuleConfig): Iterable<Cause> {
  for (const [entry, field, network] of interfacesOf(spec, at)) {
    const { bridge, masquerade, sriov, passtBinding, binding, macAddress } = entry
    const count = [bridge, masquerade, sriov, passtBinding, binding].filter(Boolean).length
    if (count !== 1) yield invalidValue(field, `has ${count} bindings: choose one, such as masquerade`)
    if (masquerade && !network?.pod)
      yield invalidValue(field.child('name'), 'masquerade works on the pod network only')
    if (masquerade && macAddress === RESERVED_MAC)
      yield invalidValue(field.child('macAddress'), `${RESERVED_MAC} is taken by the host`)
    if (bridge && network?.pod && !config.permitBridgeOnPodNetwork) {
      yield invalidValue(field.child('name'), 'bridge is not permitted on the pod network: use masquerade')
    }
    if (passtBinding && !config.isGateOn('PasstBinding'))
      yield invalidValue(field.child('name'), 'the gate PasstBinding is off')
    if (passtBinding && !network?.pod)
      yield invalidValue(field.child('name'), 'passt works on the pod network only')
  }
}

/** Interfaces have different names. Contract: VMI-NET-026. */
export function* interfaceNamesDiffer(spec: VmiSpec, at: FieldPath): Iterable<Cause> {
  for (const position of repeatedNames(devicesOf(spec).interfaces ?? [])) {
    const field = at.child('domain', 'devices', 'interfaces').index(position).child('name')
    yield duplicateValue(field, 'another interface has this name')
  }
}

/** Every interface has its network. Contract: VMI-NET-027. */
export function* interfaceHasNetwork(spec: VmiSpec, at: FieldPath): Iterable<Cause> {
  for (const [{ name }, field, network] of interfacesOf(spec, at)) {
    if (!network)
      yield invalidValue(field.child('name'), `no network is named "${name}": add one to networks`)
  }
}

/** The parts of an interface are well formed. Contract: VMI-NET-028 … 048. */
export function* interfaceIsWellFormed(spec: VmiSpec, at: FieldPath, config: RuleConfig): Iterable<Cause> {
  for (const [entry, field, network] of interfacesOf(spec, at)) {
    const { model, macAddress = '', pciAddress } = entry
    if (!/^[A-Za-z0-9\-_]+$/.test(textOrEmpty(entry.name)))
      yield invalidValue(field.child('name'), `"${entry.name}": use letters, digits, - and _`)
    if (model && !MODELS.includes(model))
      yield unsupportedValue(field.child('model'), `"${model}" is none of ${MODELS.join(', ')}`)
    if (!isMacAddress(macAddress))
      yield invalidValue(field.child('macAddress'), `"${macAddress}" is no MAC address`)
    if (pciAddress && !isPciAddress(pciAddress))
      yield invalidValue(field.child('pciAddress'), `"${pciAddress}" is no PCI address`)
    if (network?.pod) yield* checkPorts(entry.ports ?? [], field.child('ports'))
    yield* portRangesAreSound(entry, field, network, config)
    yield* dhcpOptionsAreSound(entry, field, at)
  }
}

function* checkPorts(ports: NonNullable<Interface['ports']>, at: FieldPath): Iterable<Cause> {
  const seen = new Set<string>()
  for (const [position, { name }] of ports.entries()) {
    if (!name) continue
    const field = at.index(position).child('name')
    if (seen.has(name)) yield duplicateValue(field, 'another port has this name')
    if (!isPortName(name))
      yield invalidValue(field, `"${name}": use up to 15 lower case letters, digits and single -`)
    seen.add(name)
  }
  for (const [position, { port, protocol = '' }] of ports.entries()) {
    const field = at.index(position)
    if (port === 0 || port === undefined)
      yield requiredValue(field.child('port'), 'a port is from 1 to 65535')
    else if (port < 0 || port > 65_535)
      yield invalidValue(field.child('port'), `${port} is not from 1 to 65535`)
    if (!['', 'TCP', 'UDP'].includes(protocol))
      yield invalidValue(field.child('protocol'), `"${protocol}" is neither TCP nor UDP`)
  }
}
