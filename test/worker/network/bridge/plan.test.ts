import { expect, test } from 'vitest'
import type { AttachmentConfig } from '../../../../src/kinds/network-attachment.ts'
import { planTaps } from '../../../../src/worker/network/bridge/plan.ts'
import { isTapOf, tapName } from '../../../../src/worker/network/bridge/tap.ts'
import { guestVmi, requestFor } from '../../../helpers/worker.ts'

const host = { stateDir: '/state', bridges: ['br1'] }
const vmi = guestVmi('one', {
  networks: [
    { name: 'default', pod: {} },
    { name: 'lan', multus: { networkName: 'a/lan' } },
  ],
  domain: {
    devices: {
      interfaces: [
        { name: 'default', masquerade: {} },
        { name: 'lan', bridge: {}, macAddress: '02-00-00-AA-BB-CC' },
      ],
    },
  },
})
const plan = (config?: AttachmentConfig) =>
  planTaps(requestFor(vmi, config && { networks: { 'a/lan': config } }), host)

test('only interfaces on bridges have taps', () => {
  expect(plan({ bridge: 'br1', vlan: 7, isolated: true })).toEqual([
    {
      interface: 'lan',
      device: tapName('/state', vmi.metadata.uid, 'lan'),
      bridge: 'br1',
      mac: '02:00:00:aa:bb:cc',
      vlan: 7,
      isolated: true,
    },
  ])
})

test.each<[string, AttachmentConfig | undefined, string, RegExp]>([
  ['a bridge that is not allowed', { bridge: 'br2' }, 'HostResourceMissing', /--bridge br2/],
  ['a network that cannot be used', { problem: 'it is odd' }, 'InvalidConfiguration', /it is odd/],
  ['a network that nobody has described', undefined, 'HostResourceMissing', /older/],
])('%s is refused', (_what, config, reason, message) => {
  expect(() => plan(config)).toThrow(
    expect.objectContaining({
      reason,
      message: expect.stringMatching(message),
      field: 'spec.networks[1].multus',
    }),
  )
})

test('names of devices fit, are always the same, and tell workers apart', () => {
  const name = tapName('/state', 'uid', 'lan')
  expect(name).toMatch(/^vg[0-9a-f]{13}$/)
  expect(tapName('/state', 'uid', 'lan')).toBe(name)
  expect(tapName('/state', 'uid', 'lan2')).not.toBe(name)
  expect(isTapOf('/state', name)).toBe(true)
  expect(isTapOf('/other', name)).toBe(false)
  expect(isTapOf('/state', 'vgnet0')).toBe(false)
})
