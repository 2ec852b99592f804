/** What is told of a guest by what is known of it, and of a node. */
import { expect, test } from 'vitest'
import { newState, type GuestState } from '../../../src/worker/guest/state.ts'
import { type ObservedGuest, readingsOf } from '../../../src/worker/figures/guest.ts'
import type { OutgoingState } from '../../../src/worker/migration/state.ts'
import { QUICK } from '../../helpers/migration.ts'
import { openFakeWorker } from '../../helpers/fake-worker.ts'
import { guestVmi, makeHome } from '../../helpers/worker.ts'

const OWN = { node: 'n1', namespace: 'default', name: 'vm1' }
const LABELS = { ...OWN, kubernetes_vmi_label_tier: 'front' }

/** A guest whose QEMU says nothing. */
async function told(state: Partial<GuestState>, more: Partial<ObservedGuest> = {}) {
  const vmi = guestVmi('vm1')
  vmi.metadata.labels = { tier: 'front' }
  const machine = {
    process: { pid: 0, startTicks: '', bootId: '', logOffset: 0 },
    command: () => Promise.reject(new Error('it hangs')),
  }
  const guest = { uid: 'u1', namespace: 'default', name: 'vm1' }
  const parts = readingsOf('n1', {
    state: { ...newState(guest, 1), ...state },
    vmi,
    machine,
    agent: undefined,
    ...more,
  })
  return (await Promise.allSettled(parts)).flatMap((part) => (part.status === 'fulfilled' ? part.value : []))
}

const MOVE: OutgoingState = {
  uid: 'm1',
  side: 'source',
  step: 'sending',
  target: { address: '10.0.0.1', ports: {} },
  options: QUICK,
  disks: [],
  rates: { dirty: 4096, sent: 1e6 },
}

test('how fast a guest writes and is moved is told while it is on its way, and not after', async () => {
  expect(await told({ migration: MOVE })).toEqual([
    { name: 'kubevirt_vmi_dirty_rate_bytes_per_second', labels: LABELS, value: 4096 },
    { name: 'kubevirt_vmi_migration_dirty_memory_rate_bytes', labels: OWN, value: 4096 },
    { name: 'kubevirt_vmi_migration_memory_transfer_rate_bytes', labels: OWN, value: 1e6 },
  ])
  expect(await told({ migration: { ...MOVE, step: 'failed' } })).toEqual([])
})

test('the load of a guest is told as far as its agent has said it', async () => {
  expect(await told({}, { load: { '1m': 0.5, '15m': 2 } })).toEqual([
    { name: 'kubevirt_vmi_guest_load_1m', labels: LABELS, value: 0.5 },
    { name: 'kubevirt_vmi_guest_load_15m', labels: LABELS, value: 2 },
  ])
})

test('machines that a later QEMU will lack are told of the node', async () => {
  await using home = await makeHome()
  await using worker = await openFakeWorker(home)
  expect(await worker.metrics()).toContainEqual({
    name: 'kubevirt_node_deprecated_machine_types',
    labels: { machine_type: 'pc-i440fx-1.4', node: 'test-node' },
    value: 1,
  })
})
