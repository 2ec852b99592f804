import { expect, test } from 'vitest'
import { attachmentKeyOf, readAttachment } from '../../src/kinds/network-attachment.ts'

const read = (config: unknown) =>
  readAttachment({
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: { name: 'lan', namespace: 'a', uid: 'u', resourceVersion: '1', creationTimestamp: '' },
    spec: { config: typeof config === 'string' ? config : JSON.stringify(config) },
  })

test('the first bridge of a list of plugins counts', () => {
  const bridge = {
    type: 'cnv-bridge',
    bridge: 'br1',
    vlan: 12,
    mtu: 9000,
    macspoofchk: false,
    portIsolation: true,
  }
  expect(read({ plugins: [{ type: 'tuning' }, bridge, { type: 'bridge', bridge: 'br2' }] })).toEqual({
    bridge: 'br1',
    vlan: 12,
    mtu: 9000,
    allowsSpoofing: true,
    isolated: true,
  })
})

test('guests may use no addresses but their own, and those of a static list where there is one', () => {
  const ipam = { type: 'static', addresses: [{ address: '192.0.2.7/24' }, { address: '2001:DB8::7/64' }] }
  expect(read({ type: 'bridge', bridge: 'br1', vlan: 0, ipam })).toEqual({
    bridge: 'br1',
    addresses: ['192.0.2.7', '2001:db8::7'],
  })
})

test.each([
  ['no JSON', '{', /no JSON object/],
  ['another type', { type: 'macvlan', master: 'eth0' }, /type "macvlan"/],
  ['no bridge', { type: 'bridge' }, /names no bridge/],
  ['a path for a bridge', { type: 'bridge', bridge: '../eth0' }, /names no bridge/],
  ['a VLAN that is none', { type: 'bridge', bridge: 'br1', vlan: 5000 }, /vlan/],
  ['a trunk', { type: 'bridge', bridge: 'br1', vlanTrunk: [{ id: 1 }] }, /vlanTrunk/],
  ['an mtu that is none', { type: 'bridge', bridge: 'br1', mtu: '9000' }, /mtu/],
  [
    'rules for an address',
    {
      type: 'bridge',
      bridge: 'br1',
      ipam: { type: 'static', addresses: [{ address: '1.1.1.1 }; accept' }] },
    },
    /address that is none/,
  ],
])('%s is told as a problem', (_what, config, problem) => {
  expect(read(config)).toEqual({ problem: expect.stringMatching(problem) })
})

test('a name may have its namespace before it', () => {
  expect(attachmentKeyOf('lan', 'a')).toEqual({ namespace: 'a', name: 'lan' })
  expect(attachmentKeyOf('b/lan', 'a')).toEqual({ namespace: 'b', name: 'lan' })
})
