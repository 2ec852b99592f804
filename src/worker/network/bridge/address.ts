import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** No single device's of a network: of nobody, of the host itself, of one cable, of groups. */
const NEVER_IPV4 = blockList('ipv4', [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  // With the metadata service of clouds.
  ['169.254.0.0', 16],
  ['224.0.0.0', 3],
])
const NEVER_IPV6 = blockList('ipv6', [
  // With those that embed an IPv4 address.
  ['::', 64],
  ['64:ff9b::', 32],
  ['2002::', 16],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
])

/** Whether an address may be one that a guest is reached at. Source: security C3. */
export function isUsable(address: string): boolean {
  if (isIPv4(address)) return !NEVER_IPV4.check(address, 'ipv4')
  return isIPv6(address) && !address.includes('%') && !NEVER_IPV6.check(address, 'ipv6')
}

// One list for each kind: a list takes IPv4 addresses for IPv6 ones that begin with zeros.
function blockList(type: 'ipv4' | 'ipv6', networks: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList()
  for (const [network, prefix] of networks) list.addSubnet(network, prefix, type)
  return list
}
