import { isIPv4, isIPv6 } from 'node:net'
import type { Tap } from './tap.ts'

/**
 * What keeps a guest on a bridge from passing for somebody else, and from what tells the others of the network their
 * addresses and ways: a table of nftables for each tap, in the family `bridge`, so that it sees each frame before the
 * bridge does. It also notes which addresses DHCP servers give the guest, and which ones the guest says it has.
 */

const TABLE_PREFIX = 'virtgate_'
/** How long an address counts that the guest alone says is its own, and has not spoken of again. */
const CLAIMED = '10m'
/** Before all that the bridge does. */
const FIRST = -300

/** Counted in `readRules`. */
export const DROPPED = 'dropped'

/** Name of the table of a tap, in the family `bridge`. */
export function tableOf(device: string): string {
  return `${TABLE_PREFIX}${device}`
}

/** The device that a table is for; `undefined` for a table that is no tap's. */
export function deviceOfTable(table: string): string | undefined {
  return table.startsWith(TABLE_PREFIX) ? table.slice(TABLE_PREFIX.length) : undefined
}

/** What `nft -f` takes to remove the table, whether it is there or not. */
export function buildRemoval(device: string): string {
  const table = `table bridge ${tableOf(device)}`
  return `${table}\ndelete ${table}\n`
}

/**
 * The table as `nft -f` takes it: it replaces what stands there, in one step. `reserved`: IP addresses of this host on
 * the bridge, which no guest may have.
 */
export function buildRules(tap: Tap, reserved: readonly string[]): string {
  const { addresses = [], leased = [] } = tap
  const known = [...addresses, ...leased]
  const fours = known.filter(isIPv4)
  const sixes = known.filter(isIPv6)
  const isBound = known.length > 0
  return [
    `${buildRemoval(tap.device)}table bridge ${tableOf(tap.device)} {`,
    ...formatSet('own4', 'ipv4_addr', fours, ['size 256', 'flags dynamic']),
    ...formatSet('own6', 'ipv6_addr', sixes, ['size 256', 'flags dynamic']),
    // Holds the tap once the guest's IP addresses are known: then it may use no others.
    ...formatSet('bound', 'ifname', isBound ? [`"${tap.device}"`] : [], ['size 4', 'flags dynamic']),
    ...formatSet('claimed4', 'ipv4_addr', [], ['size 64', 'flags dynamic,timeout', `timeout ${CLAIMED}`]),
    ...formatSet('claimed6', 'ipv6_addr', [], ['size 64', 'flags dynamic,timeout', `timeout ${CLAIMED}`]),
    `  counter ${DROPPED} {`,
    '  }',
    ...formatChain('from_guest', 'prerouting', FIRST, fromGuest(tap, reserved)),
    ...formatChain('to_guest', 'postrouting', 0, toGuest(tap)),
    '}\n',
  ].join('\n')
}

function fromGuest(tap: Tap, reserved: readonly string[]): string[] {
  const drop = `counter name ${DROPPED} drop`
  return [
    `iifname != "${tap.device}" accept`,
    // Into other networks than its own.
    `ether type { 8021q, 8021ad } ${drop}`,
    ...(tap.allowsSpoofing ? [] : [...ownAddresses(tap, drop), ...notOurs(reserved, drop)]),
    // Servers of DHCP, DHCPv6, and what routers say.
    `udp sport { 67, 547 } ${drop}`,
    `icmpv6 type { nd-router-advert, nd-redirect } ${drop}`,
    'arp saddr ip != 0.0.0.0 update @claimed4 { arp saddr ip }',
    'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 saddr != :: update @claimed6 { ip6 saddr }',
  ]
}

function ownAddresses({ mac, addresses }: Tap, drop: string): string[] {
  const isBound = 'iifname @bound'
  return [
    `ether saddr != ${mac} ${drop}`,
    `arp saddr ether != ${mac} ${drop}`,
    // 0.0.0.0 asks for an address, or whether one is free.
    `${isBound} arp saddr ip != 0.0.0.0 arp saddr ip != @own4 ${drop}`,
    `${isBound} ip saddr != 0.0.0.0 ip saddr != @own4 ${drop}`,
    // IPv6 addresses are the guest's to choose where nobody has written down which it has.
    ...(addresses?.length
      ? [`${isBound} ip6 saddr != :: ip6 saddr != fe80::/10 ip6 saddr != @own6 ${drop}`]
      : []),
  ]
}

function notOurs(reserved: readonly string[], drop: string): string[] {
  const fours = reserved.filter(isIPv4).join(', ')
  const sixes = reserved.filter(isIPv6).join(', ')
  return [
    ...(fours ? [`arp saddr ip { ${fours} } ${drop}`, `ip saddr { ${fours} } ${drop}`] : []),
    ...(sixes ? [`ip6 saddr { ${sixes} } ${drop}`] : []),
  ]
}

/**
 * A DHCP server tells this guest which address it has. In the message: at 28 the hardware address, at 16 the IP
 * address, at 240 the option 53, which servers write first: 5 is an acknowledgement. Before it the header of UDP: 8.
 * Source: RFC 2131, section 2; RFC 2132, section 9.6.
 */
function toGuest({ device, mac, addresses }: Tap): string[] {
  if (addresses?.length) return []
  const hardware = `0x${mac.replaceAll(':', '')}`
  const acknowledged = `udp sport 67 udp dport 68 @th,288,48 ${hardware} @th,1984,24 0x350105`
  return [
    `oifname "${device}" ${acknowledged} @th,192,32 != 0 add @own4 { @th,192,32 } add @bound { oifname }`,
  ]
}

function formatSet(name: string, type: string, elements: readonly string[], more: string[]): string[] {
  const lines = [`type ${type}`, ...more]
  if (elements.length > 0) lines.push(`elements = { ${elements.join(', ')} }`)
  return [`  set ${name} {`, ...lines.map((line) => `    ${line}`), '  }']
}

function formatChain(name: string, hook: string, priority: number, rules: string[]): string[] {
  const lines = [`type filter hook ${hook} priority ${priority}; policy accept;`, ...rules]
  return [`  chain ${name} {`, ...lines.map((line) => `    ${line}`), '  }']
}
