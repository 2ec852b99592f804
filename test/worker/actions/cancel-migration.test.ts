import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { QmpClosed } from '../../../src/qemu/qmp/client.ts'
import { cancelMigration } from '../../../src/worker/actions/cancel-migration.ts'
import type { Guest } from '../../../src/worker/guest/guest.ts'
import { GuestRecord } from '../../../src/worker/guest/record.ts'
import { newState } from '../../../src/worker/guest/state.ts'
import type { MigrationState } from '../../../src/worker/migration/state.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'

const REF = { guest: { uid: 'u1', namespace: 'default', name: 'vm1' }, migrationUid: 'm1' }
const ARRIVING: MigrationState = {
  uid: 'm1',
  side: 'target',
  step: 'receiving',
  mode: 'PreCopy',
  reply: { address: '10.0.0.1', ports: {} },
  paused: false,
  disks: [],
}

/** A target that is asked to forget its guest, while its QEMU answers that. */
async function target(answer: () => Promise<{ status: string }>, ends: boolean) {
  const dir = await mkdtemp(join(tmpdir(), 'vg-cancel-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  const clock = createFakeClock()
  const state = { ...newState(REF.guest, 1), migration: ARRIVING }
  const record = new GuestRecord({ state, file: join(dir, 'state.json'), clock, publish() {} })
  let forgets = false
  const host = {
    record,
    parts: { clock },
    machine: { ended: false, command: answer, endsWithin: async () => ends },
    giveUp: () => (forgets = true),
  }
  // The one thing of a guest that is asked for.
  const guest = { move: (task: (one: typeof host) => Promise<void>) => task(host) } as unknown as Guest
  return { guest, record, forgets: () => forgets }
}

const hangsUp = () => Promise.reject(new QmpClosed('the monitor has hung up'))

test.each([
  ['waits', async () => ({ status: 'active' }), false, true],
  ['ends just then, because the source has hung up', hangsUp, true, true],
  ['has all of the guest', async () => ({ status: 'completed' }), false, false],
])('a target whose QEMU %s', async (_what, answer, ends, isForgotten) => {
  const { guest, record, forgets } = await target(answer, ends)
  await cancelMigration(guest, REF)
  expect(forgets()).toBe(isForgotten)
  expect(record.state.removal !== undefined).toBe(isForgotten)
})

test('a target that only does not answer is left alone: it may run the guest', async () => {
  const { guest, record, forgets } = await target(hangsUp, false)
  await expect(cancelMigration(guest, REF)).rejects.toThrow('hung up')
  expect(forgets()).toBe(false)
  expect(record.state.removal).toBeUndefined()
})
