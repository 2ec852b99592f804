/** What is kept of the speeds that QEMU tells while a guest moves. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { guestFiles } from '../../../src/worker/files/paths.ts'
import type { Machine } from '../../../src/worker/guest/machine.ts'
import { GuestRecord } from '../../../src/worker/guest/record.ts'
import { newState } from '../../../src/worker/guest/state.ts'
import { Mover } from '../../../src/worker/migration/mover.ts'
import { CHANNELS } from '../../../src/worker/migration/options.ts'
import type { OutgoingState } from '../../../src/worker/migration/state.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { QUICK } from '../../helpers/migration.ts'
import { silentLog } from '../../helpers/worker.ts'

const SENDING: OutgoingState = {
  uid: 'm1',
  side: 'source',
  step: 'sending',
  target: { address: '10.0.0.1', ports: { '4000': CHANNELS.state } },
  options: QUICK,
  disks: [],
}
const RAM = { total: 1000, remaining: 600, transferred: 400, 'dirty-sync-count': 2, 'page-size': 4096 }

test('how fast memory is written and sent is kept from look to look, in bytes a second', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'vg-rates-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  const clock = createFakeClock()
  const state = { ...newState({ uid: 'u1', namespace: 'default', name: 'vm1' }, 1), migration: SENDING }
  const record = new GuestRecord({ state, file: join(dir, 'state.json'), clock, publish() {} })
  const says = { mbps: 800, 'dirty-pages-rate': 10 }
  const machine = {
    runState: async () => 'running',
    command: async (name: string) =>
      name === 'query-migrate' ? { status: 'active', ram: { ...RAM, ...says } } : {},
  } as unknown as Machine
  const files = guestFiles({ stateDir: dir, runDir: dir }, 'u1')
  const mover = new Mover({ record, files, clock, log: silentLog })
  await mover.step(machine)
  expect(record.state.migration).toMatchObject({ rates: { dirty: 40_960, sent: 100_000_000 } })
  Object.assign(says, { mbps: 0, 'dirty-pages-rate': 1 })
  await mover.step(machine)
  expect(record.state.migration).toMatchObject({ rates: { dirty: 4096, sent: 0 } })
  // They are no part of what the node reports.
  expect(record.report.migration).not.toHaveProperty('rates')
})
