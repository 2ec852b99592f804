import type { FieldPath } from '../../lib/field-path.ts'
import type { Build } from './build.ts'
import { resourceMissing, unsupportedDevice } from './error.ts'
import { DEVICES, type InterfaceSpec, SPEC } from './spec.ts'

/**
 * A tap of the host behind an interface: whoever made the plan has made it, for QEMU's user to open, and put it on its
 * bridge. The network's own DHCP and name servers answer the guest.
 */
export function buildTapNetwork(build: Build, iface: InterfaceSpec, id: string, at: FieldPath): object {
  const { plan } = build
  const tap = plan.taps?.[iface.name]
  if (!tap) throw resourceMissing(at.child('bridge'), 'this node has made no tap for it')
  checkDhcp(iface, at.child('dhcpOptions'))
  const { nameservers, searches, options } = plan.spec.dnsConfig ?? {}
  if (nameservers?.length || searches?.length || options?.length) {
    build.degrade(SPEC.child('dnsConfig'), `${String(at)} has the name servers of its network`)
  }
  return { type: 'tap', id, ifname: tap.device, script: 'no', downscript: 'no' }
}

/** What fits in a packet, for cards that can tell their guest. */
export function mtuOf({ plan, degrade }: Build, { name, model }: InterfaceSpec): { host_mtu?: number } {
  const mtu = plan.taps?.[name]?.mtu
  if (mtu === undefined) return {}
  if (!model || model === 'virtio') return { host_mtu: mtu }
  degrade(
    DEVICES.child('interfaces'),
    `the card ${name} cannot tell the guest that its network has an mtu of ${mtu}: set it in the guest`,
  )
  return {}
}

function checkDhcp({ dhcpOptions = {} }: InterfaceSpec, at: FieldPath): void {
  const [asked] = Object.entries(dhcpOptions).filter(([, value]) =>
    Array.isArray(value) ? value.length > 0 : value,
  )
  if (asked)
    throw unsupportedDevice(at.child(asked[0]), "the network's own DHCP server answers: set the option there")
}
