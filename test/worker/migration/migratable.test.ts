import { expect, test } from 'vitest'
import type { VmiSpec } from '../../../src/kinds/kubevirt.ts'
import { whyNotMigratable } from '../../../src/worker/migration/migratable.ts'
import { guestSpec } from '../../helpers/quotas.ts'

type Devices = VmiSpec['domain']['devices']

const CARD = 'InterfaceNotLiveMigratable'

test.each<[string, NonNullable<Devices['interfaces']>[number], 'pod' | 'multus', string | undefined]>([
  ['masquerade on the pod network', { name: 'lan', masquerade: {} }, 'pod', undefined],
  ['a bridge on the pod network', { name: 'lan', bridge: {} }, 'pod', CARD],
  ['a bridge that a network of Multus names', { name: 'lan', bridge: {} }, 'multus', undefined],
  ['a function of a card of this node', { name: 'lan', sriov: {} }, 'multus', CARD],
])('a guest with %s', (_what, card, network, reason) => {
  const networks: VmiSpec['networks'] = [
    network === 'pod' ? { name: 'lan', pod: {} } : { name: 'lan', multus: { networkName: 'lan' } },
  ]
  const spec: VmiSpec = { networks, domain: { devices: { interfaces: [card] } } }
  const why = whyNotMigratable({ spec, accelerator: 'tcg' }, [])
  expect(why?.reason).toBe(reason)
  expect(why?.message.includes('the interface lan')).toBe(reason && true)
})

test('an emulated guest on huge pages stays where it is: QEMU would lose writes to them', () => {
  const spec = guestSpec({ memory: { guest: '64Mi', hugepages: { pageSize: '2Mi' } } })
  expect(whyNotMigratable({ spec, accelerator: 'kvm' }, [])).toBeUndefined()
  expect(whyNotMigratable({ spec, accelerator: 'tcg' }, [])).toMatchObject({
    reason: 'EmulatedHugepagesNotLiveMigratable',
  })
})
