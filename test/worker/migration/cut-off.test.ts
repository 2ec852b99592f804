import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Machine } from '../../../src/worker/guest/machine.ts'
import { GuestRecord } from '../../../src/worker/guest/record.ts'
import { newState } from '../../../src/worker/guest/state.ts'
import { Mover } from '../../../src/worker/migration/mover.ts'
import { CHANNELS } from '../../../src/worker/migration/options.ts'
import type { MigrationState } from '../../../src/worker/migration/state.ts'
import { guestFiles } from '../../../src/worker/files/paths.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { QUICK } from '../../helpers/migration.ts'
import { silentLog } from '../../helpers/worker.ts'

const REPLY = { address: '10.0.0.1', ports: { '4000': CHANNELS.state } }
const SOURCE: MigrationState = {
  uid: 'm1',
  side: 'source',
  step: 'sending',
  mode: 'PostCopy',
  target: REPLY,
  options: { ...QUICK, allowPostCopy: true },
  disks: [],
}
const TARGET: MigrationState = {
  uid: 'm1',
  side: 'target',
  step: 'filling',
  mode: 'PostCopy',
  reply: REPLY,
  paused: false,
  disks: [],
}

/** One side of a migration in post-copy whose connection has broken, and what its QEMU is told. */
async function brokenOff(migration: MigrationState) {
  const dir = await mkdtemp(join(tmpdir(), 'vg-cut-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  const clock = createFakeClock()
  const state = { ...newState({ uid: 'u1', namespace: 'default', name: 'vm1' }, 1), migration }
  const record = new GuestRecord({ state, file: join(dir, 'state.json'), clock, publish() {} })
  const told: unknown[][] = []
  const machine = {
    runState: async () => (migration.side === 'source' ? 'postmigrate' : 'running'),
    async command(name: string, parameters?: object) {
      if (name === 'query-migrate') return { status: 'postcopy-paused' }
      told.push([name, parameters])
      return {}
    },
  } as unknown as Machine
  const mover = new Mover({
    record,
    files: guestFiles({ stateDir: dir, runDir: dir }, 'u1'),
    clock,
    log: silentLog,
  })
  return { clock, record, told, step: () => mover.step(machine) }
}

test.each([
  ['source', SOURCE, ['migrate', { uri: 'tcp:10.0.0.1:4000', resume: true }]],
  ['target', TARGET, ['migrate-recover', { uri: 'tcp:10.0.0.1:4000' }]],
] as const)(
  'the %s takes it up again, and gives the guest up after five minutes',
  async (_side, move, asked) => {
    const { clock, record, told, step } = await brokenOff(move)
    expect(await step()).toEqual({ waitMs: 2_000 })
    clock.advance(299_000)
    await step()
    expect(told).toEqual([asked, asked])
    expect(record.state.migration).toMatchObject({ step: move.step })
    clock.advance(2_000)
    expect(await step()).toMatchObject({ end: { phase: 'Failed', reason: 'MigrationFailed' } })
    expect(record.state.migration).toMatchObject({ step: 'failed', guestLost: true })
    // Neither side has let the guest run on its own.
    expect(told.map(([name]) => name)).not.toContain('cont')
  },
)
