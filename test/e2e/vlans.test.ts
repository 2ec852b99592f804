/** VLANs on one bridge: guests of one reach each other, and nobody else. On a kernel of their own, as many hosts' lack them. */
import { describe, expect, test } from 'vitest'
import { requireQemu } from '../helpers/guest.ts'
import { runInKernelHost, whyNoKernelHost } from '../helpers/kernel-host.ts'

const OPTIONS = {
  modules: ['tun', 'bridge', '8021q', 'nf_tables', 'nft_meta_bridge', 'nft_objref'],
  tools: ['ip', 'bridge', 'nft', 'socat'],
}

function requireKernelHost(base: typeof describe | typeof describe.skip) {
  const why = whyNoKernelHost(OPTIONS)
  if (why === undefined) return base
  process.stderr.write(
    `SKIPPING TESTS OF VLANS: ${why}. Install e2fsprogs, iproute2, nftables, socat, busybox.\n`,
  )
  return describe.skip
}

requireKernelHost(requireQemu())('guests in VLANs of one bridge', () => {
  test('see those of their own VLAN alone, and so does the node', { timeout: 300_000 }, async () => {
    expect(await runInKernelHost('vlan-host.ts', OPTIONS)).toEqual({
      refused: expect.stringContaining('ip link set br0 type bridge vlan_filtering 1'),
      memberships: {
        red: expect.stringMatching(/^10 PVID Egress Untagged$/),
        red2: expect.stringMatching(/^10 PVID Egress Untagged$/),
        blue: expect.stringMatching(/^20 PVID Egress Untagged$/),
        blue2: expect.stringMatching(/^20 PVID Egress Untagged$/),
        plain: expect.stringMatching(/^1 PVID Egress Untagged$/),
        original: expect.stringMatching(/^20 PVID Egress Untagged$/),
        double: expect.stringMatching(/^10 PVID Egress Untagged$/),
      },
      reached: { red: ['red2'], red2: ['red'], blue: ['blue2'], blue2: ['blue'], plain: [] },
      // What a guest tags itself goes nowhere.
      tagged: false,
      fromRed: {
        red: 'reached',
        double: 'reached',
        original: expect.stringContaining('no network that this node has on the bridge br0 in VLAN 20'),
      },
      fromBlue: {
        red: expect.stringContaining('give br0.10 an address there'),
        original: 'reached',
        // It is not reached by way of whoever has its addresses in another VLAN.
        double: expect.stringContaining('no network that this node has on the bridge br0 in VLAN 10'),
      },
      fromPlain: {
        plain: 'reached',
        red: expect.stringContaining('no network that this node has on the bridge br0 in VLAN 10'),
      },
    })
  })
})
