import type { FieldPath } from '../../lib/field-path.ts'
import type { Build } from './build.ts'
import { addressAt, parseCidr } from './cidr.ts'
import { invalidConfig, unsupportedDevice } from './error.ts'
import { checkText, SPEC, type InterfaceSpec } from './spec.ts'

/** What a pod's guest sees: itself at .2, its gateway at .1. Source: contract 4.2. */
const DEFAULT_CIDR = '10.0.2.0/24'
/** Network, gateway, guest, name server and broadcast have to fit. */
const LONGEST_PREFIX = 29
const IPV6_CIDR = /^([0-9a-f:]{2,39})\/(\d{1,3})$/i
const HOST_NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/i

/**
 * QEMU's own user-mode network behind an interface: the guest reaches out, nothing reaches in, so the interface's
 * `ports` have nothing to limit. QEMU answers DHCP and DNS itself.
 */
export function buildUserNetwork(build: Build, iface: InterfaceSpec, id: string, at: FieldPath): object {
  return {
    type: 'user',
    id,
    ...ipv4Of(build, iface),
    ...ipv6Of(build, iface),
    ...dnsOf(build, at),
    ...dhcpOf(iface, at.child('dhcpOptions')),
  }
}

/** Whether a guest with these arguments has such a network. */
export function hasUserNetwork(argv: readonly string[]): boolean {
  return argv.some((arg, index) => argv[index - 1] === '-netdev' && arg.startsWith('{"type":"user"'))
}

function podOf(
  { plan }: Build,
  { name }: InterfaceSpec,
): { at: FieldPath; vmNetworkCIDR?: string; vmIPv6NetworkCIDR?: string } {
  const networks = plan.spec.networks ?? []
  const index = networks.findIndex((network) => network.name === name)
  return { at: SPEC.child('networks').index(index).child('pod'), ...networks[index]?.pod }
}

function ipv4Of(build: Build, iface: InterfaceSpec): object {
  const { at, vmNetworkCIDR } = podOf(build, iface)
  const network = parseCidr(vmNetworkCIDR || DEFAULT_CIDR)
  if (!network || network.prefix > LONGEST_PREFIX || network.prefix < 8) {
    throw invalidConfig(
      at.child('vmNetworkCIDR'),
      `${JSON.stringify(vmNetworkCIDR)} is no network a guest fits in: write one from /8 to /${LONGEST_PREFIX}, such as ${DEFAULT_CIDR}`,
    )
  }
  return {
    ipv4: true,
    net: `${addressAt(network, 0)}/${network.prefix}`,
    host: addressAt(network, 1),
    dhcpstart: addressAt(network, 2),
    dns: addressAt(network, 3),
  }
}

function ipv6Of(build: Build, iface: InterfaceSpec): object {
  const { at, vmIPv6NetworkCIDR } = podOf(build, iface)
  if (!vmIPv6NetworkCIDR) return { ipv6: false }
  const [, prefix, length] = IPV6_CIDR.exec(vmIPv6NetworkCIDR) ?? []
  if (prefix !== undefined && Number(length) <= 126) {
    return { ipv6: true, 'ipv6-prefix': prefix, 'ipv6-prefixlen': Number(length) }
  }
  throw invalidConfig(
    at.child('vmIPv6NetworkCIDR'),
    `${JSON.stringify(vmIPv6NetworkCIDR)} is no network: write one such as fd10:0:2::/64`,
  )
}

function dnsOf({ plan, degrade }: Build, at: FieldPath): object {
  const { dnsConfig, dnsPolicy, hostname } = plan.spec
  if (dnsConfig?.nameservers?.length) {
    degrade(
      SPEC.child('dnsConfig', 'nameservers'),
      `${String(at)} has QEMU's own name server, which asks those of the host`,
    )
  }
  if (dnsConfig?.options?.length)
    degrade(SPEC.child('dnsConfig', 'options'), `${String(at)} cannot hand these to the guest`)
  const own = dnsPolicy === 'None' ? [] : [`${plan.namespace}.svc.cluster.local`]
  const searches = [...own, ...(dnsConfig?.searches ?? [])]
  searches.forEach((domain, index) => checkHostName(domain, SPEC.child('dnsConfig', 'searches').index(index)))
  return {
    hostname: checkHostName(hostname || plan.name, SPEC.child('hostname')),
    ...(searches.length > 0 && { dnssearch: searches.map((str) => ({ str })) }),
  }
}

function checkHostName(name: string, at: FieldPath): string {
  if (HOST_NAME.test(name)) return name
  throw invalidConfig(at, `${JSON.stringify(name)} is no name for DNS: use letters, digits, '-' and '.'`)
}

function dhcpOf({ dhcpOptions }: InterfaceSpec, at: FieldPath): object {
  const { bootFileName, tftpServerName, ntpServers, privateOptions } = dhcpOptions ?? {}
  if (ntpServers?.length)
    throw unsupportedDevice(
      at.child('ntpServers'),
      'the user-mode network cannot hand these out: set them in the guest',
    )
  if (privateOptions?.length)
    throw unsupportedDevice(
      at.child('privateOptions'),
      'the user-mode network cannot hand these out: remove them',
    )
  return {
    ...(bootFileName && { bootfile: checkText(bootFileName, at.child('bootFileName'), 127) }),
    ...(tftpServerName && { 'tftp-server-name': checkText(tftpServerName, at.child('tftpServerName'), 255) }),
  }
}
