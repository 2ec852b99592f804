import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { addAll, duplicateValue, invalidValue, requiredValue, unsupportedValue } from '../../lib/causes.ts'
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
export function bindingIsStillThere(spec: VmiSpec, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  for (const [entry, field] of interfacesOf(spec, at)) {
    for (const name of ['slirp', 'passt', 'macvtap'] as const) {
      if (entry[name])
        causes.push(
          invalidValue(field.child(name), `${name} was removed from KubeVirt: use masquerade or bridge`),
        )
    }
  }
  return causes
}

/** Bindings whose gate was listed and is no longer there are not asked for. Contract: VMI-FGD-001, 002. */
export function discontinuedBindingsAreUnused(spec: VmiSpec, { listedGates }: RuleConfig): Cause[] {
  const interfaces = devicesOf(spec).interfaces ?? []
  const causes: Cause[] = []
  for (const gate of listedGates) {
    const binding = gate === 'Passt' ? 'passt' : gate === 'Macvtap' ? 'macvtap' : undefined
    if (!binding || !interfaces.some((entry) => entry[binding])) continue
    causes.push(
      unsupportedValue('', `the feature gate ${gate} was removed from KubeVirt, and so was ${binding}`),
    )
  }
  return causes
}

/** The state of a link is one that exists and fits its binding. Contract: VMI-NET-007 … 010. */
export function linkStateFits(spec: VmiSpec, at: FieldPath): Cause[] {
  const standard = networksOf(spec).find((network) => network.pod || network.multus?.default)
  const causes: Cause[] = []
  for (const [{ state = '', sriov, bridge, name }, path] of interfacesOf(spec, at)) {
    const field = path.child('state')
    if (!STATES.includes(state)) causes.push(invalidValue(field, `"${state}" is none of absent, down, up`))
    if (sriov && (state === 'down' || state === 'up'))
      causes.push(invalidValue(field, 'the link of an SR-IOV interface cannot be set'))
    if (state === 'absent' && !bridge)
      causes.push(invalidValue(field, 'only bridge interfaces can be unplugged'))
    if (state === 'absent' && standard?.name === name)
      causes.push(invalidValue(field, 'the default network cannot be unplugged'))
  }
  return causes
}

/** An interface has one binding, and its network goes with it. Contract: VMI-NET-011 … 016. */
export function bindingFitsNetwork(spec: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  const causes: Cause[] = []
  for (const [entry, field, network] of interfacesOf(spec, at)) {
    const { bridge, masquerade, sriov, passtBinding, binding, macAddress } = entry
    const count = [bridge, masquerade, sriov, passtBinding, binding].filter(Boolean).length
    if (count !== 1) causes.push(invalidValue(field, `has ${count} bindings: choose one, such as masquerade`))
    if (masquerade && !network?.pod)
      causes.push(invalidValue(field.child('name'), 'masquerade works on the pod network only'))
    if (masquerade && macAddress === RESERVED_MAC)
      causes.push(invalidValue(field.child('macAddress'), `${RESERVED_MAC} is taken by the host`))
    if (bridge && network?.pod && !config.permitBridgeOnPodNetwork) {
      causes.push(
        invalidValue(field.child('name'), 'bridge is not permitted on the pod network: use masquerade'),
      )
    }
    if (passtBinding && !config.isGateOn('PasstBinding'))
      causes.push(invalidValue(field.child('name'), 'the gate PasstBinding is off'))
    if (passtBinding && !network?.pod)
      causes.push(invalidValue(field.child('name'), 'passt works on the pod network only'))
  }
  return causes
}

/** Interfaces have different names. Contract: VMI-NET-026. */
export function interfaceNamesDiffer(spec: VmiSpec, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  for (const position of repeatedNames(devicesOf(spec).interfaces ?? [])) {
    const field = at.child('domain', 'devices', 'interfaces').index(position).child('name')
    causes.push(duplicateValue(field, 'another interface has this name'))
  }
  return causes
}

/** Every interface has its network. Contract: VMI-NET-027. */
export function interfaceHasNetwork(spec: VmiSpec, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  for (const [{ name }, field, network] of interfacesOf(spec, at)) {
    if (!network)
      causes.push(invalidValue(field.child('name'), `no network is named "${name}": add one to networks`))
  }
  return causes
}

/** The parts of an interface are well formed. Contract: VMI-NET-028 … 048. */
export function interfaceIsWellFormed(spec: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  const causes: Cause[] = []
  for (const [entry, field, network] of interfacesOf(spec, at)) {
    const { model, macAddress = '', pciAddress } = entry
    if (!/^[A-Za-z0-9\-_]+$/.test(textOrEmpty(entry.name)))
      causes.push(invalidValue(field.child('name'), `"${entry.name}": use letters, digits, - and _`))
    if (model && !MODELS.includes(model))
      causes.push(unsupportedValue(field.child('model'), `"${model}" is none of ${MODELS.join(', ')}`))
    if (!isMacAddress(macAddress))
      causes.push(invalidValue(field.child('macAddress'), `"${macAddress}" is no MAC address`))
    if (pciAddress && !isPciAddress(pciAddress))
      causes.push(invalidValue(field.child('pciAddress'), `"${pciAddress}" is no PCI address`))
    if (network?.pod) addAll(causes, checkPorts(entry.ports ?? [], field.child('ports')))
    addAll(causes, portRangesAreSound(entry, field, network, config))
    addAll(causes, dhcpOptionsAreSound(entry, field, at))
  }
  return causes
}

function checkPorts(ports: NonNullable<Interface['ports']>, at: FieldPath): Cause[] {
  const seen = new Set<string>()
  const causes: Cause[] = []
  for (const [position, { name }] of ports.entries()) {
    if (!name) continue
    const field = at.index(position).child('name')
    if (seen.has(name)) causes.push(duplicateValue(field, 'another port has this name'))
    if (!isPortName(name))
      causes.push(invalidValue(field, `"${name}": use up to 15 lower case letters, digits and single -`))
    seen.add(name)
  }
  for (const [position, { port, protocol = '' }] of ports.entries()) {
    const field = at.index(position)
    if (port === 0 || port === undefined)
      causes.push(requiredValue(field.child('port'), 'a port is from 1 to 65535'))
    else if (port < 0 || port > 65_535)
      causes.push(invalidValue(field.child('port'), `${port} is not from 1 to 65535`))
    if (!['', 'TCP', 'UDP'].includes(protocol))
      causes.push(invalidValue(field.child('protocol'), `"${protocol}" is neither TCP nor UDP`))
  }
  return causes
}
