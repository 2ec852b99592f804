import { describe, expect, test } from 'vitest'
import { isUsable } from '../../../../src/worker/network/bridge/address.ts'
import { isHeldByOther } from '../../../../src/worker/network/bridge/forward.ts'
import { readNeighbours, readTable } from '../../../../src/worker/network/bridge/learned.ts'
import { buildRules, deviceOfTable, tableOf } from '../../../../src/worker/network/bridge/rules.ts'
import type { Tap } from '../../../../src/worker/network/bridge/tap.ts'
import { addressesOf, mergeLeases } from '../../../../src/worker/network/bridge/tend.ts'

const tap: Tap = { interface: 'lan', device: 'vg0000000000001', bridge: 'br1', mac: '02:00:00:00:00:01' }

describe('the rules of a tap', () => {
  test('let nothing through but its own hardware address, and none of the host’s IP addresses', () => {
    const text = buildRules(tap, ['192.0.2.1', 'fe80::1'])
    expect(text).toContain('ether saddr != 02:00:00:00:00:01 counter name dropped drop')
    expect(text).toContain('arp saddr ether != 02:00:00:00:00:01 counter')
    expect(text).toContain('arp saddr ip { 192.0.2.1 } counter')
    expect(text).toContain('ip6 saddr { fe80::1 } counter')
    expect(text).toContain('udp sport { 67, 547 } counter')
    expect(text).toContain('nd-router-advert')
    expect(text).toContain('ether type { 8021q, 8021ad }')
    // Nothing is known of its addresses yet.
    expect(text).not.toContain('elements')
  })

  test('hold it to the addresses that are known, also after they were lost', () => {
    expect(buildRules({ ...tap, leased: ['192.0.2.9'] }, [])).toMatch(
      /elements = \{ 192.0.2.9 \}[^]*elements = \{ "vg0000000000001" \}/,
    )
    const fixed = buildRules({ ...tap, addresses: ['192.0.2.9', '2001:db8::9'] }, [])
    expect(fixed).toContain('ip6 saddr != @own6')
    // What a DHCP server says does not count then.
    expect(fixed).not.toContain('add @own4')
  })

  test('leave addresses alone where spoofing is allowed, and servers of DHCP are not', () => {
    const text = buildRules({ ...tap, allowsSpoofing: true }, ['192.0.2.1'])
    expect(text).not.toMatch(/saddr != 02:|192\.0\.2\.1/)
    expect(text).toContain('udp sport { 67, 547 } counter')
  })

  test('stand in a table whose name tells the tap', () => {
    expect(deviceOfTable(tableOf(tap.device))).toBe(tap.device)
    expect(deviceOfTable('filter')).toBeUndefined()
  })
})

describe('what is learned', () => {
  const set = (name: string, elem: unknown[]) => ({ set: { name, elem } })

  test('is read from what nft prints, latest claim first', () => {
    const nftables = [
      { metainfo: {} },
      { counter: { name: 'dropped', packets: 3 } },
      set('own4', ['192.0.2.9']),
      set('own6', []),
      set('claimed4', [
        { elem: { val: '192.0.2.8', expires: 5 } },
        { elem: { val: '192.0.2.7', expires: 599 } },
        { elem: { val: 'x' } },
      ]),
    ]
    expect(readTable(JSON.stringify({ nftables }))).toEqual({
      own: ['192.0.2.9'],
      claimed: ['192.0.2.7', '192.0.2.8'],
      dropped: 3,
    })
    expect(readTable('{}')).toEqual({ own: [], claimed: [], dropped: 0 })
  })

  test('is what this host knows of its neighbours, by the hardware address', () => {
    const answer = [
      { dst: '192.0.2.9', lladdr: '02:00:00:00:00:01' },
      { dst: '192.0.2.8', lladdr: '02:00:00:00:00:02' },
      { dst: '192.0.2.7', state: ['FAILED'] },
    ]
    expect(readNeighbours(answer, tap.mac)).toEqual(['192.0.2.9'])
  })

  test('counts by who says it: the administrator, a DHCP server, the guest', () => {
    const claimed = ['192.0.2.66']
    expect(addressesOf(tap, claimed)).toEqual(claimed)
    expect(addressesOf({ ...tap, leased: ['192.0.2.9'] }, claimed)).toEqual(['192.0.2.9'])
    expect(addressesOf({ ...tap, addresses: ['192.0.2.5'], leased: ['192.0.2.9'] }, claimed)).toEqual([
      '192.0.2.5',
    ])
    expect(addressesOf({ ...tap, allowsSpoofing: true }, claimed)).toEqual([])
  })

  test('a new lease comes before those that were known', () => {
    expect(mergeLeases(['192.0.2.9'], ['192.0.2.10', '192.0.2.9'])).toEqual(['192.0.2.10', '192.0.2.9'])
  })

  test('an address that another guest on the bridge was given is not this one’s', () => {
    const other = { ...tap, device: 'vg2', leased: ['192.0.2.9', '192.0.2.8'] }
    expect(isHeldByOther('192.0.2.9', tap, [other])).toBe(true)
    expect(isHeldByOther('192.0.2.8', tap, [other])).toBe(false)
    expect(isHeldByOther('192.0.2.9', tap, [{ ...other, bridge: 'br2' }])).toBe(false)
  })
})

test.each([
  ['127.0.0.1', false],
  ['::1', false],
  ['0.0.0.0', false],
  ['169.254.169.254', false],
  ['fe80::1', false],
  ['224.0.0.1', false],
  ['255.255.255.255', false],
  ['ff02::1', false],
  ['::ffff:192.0.2.1', false],
  ['64:ff9b::c000:201', false],
  ['guest', false],
  ['192.0.2.1', true],
  ['10.0.0.1', true],
  ['2001:db8::1', true],
  ['fd00::7', true],
])('whether %s may be a guest’s: %s', (address, expected) => {
  expect(isUsable(address)).toBe(expected)
})
