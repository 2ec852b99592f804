import { mkdtempSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { QmpError } from '../../../src/qemu/qmp/client.ts'
import type { GuestReport } from '../../../src/rpc/actions.ts'
import { type BackupState, keepBackup } from '../../../src/worker/backup/state.ts'
import { abandonBackup, tendBackup } from '../../../src/worker/backup/tend.ts'
import { GuestRecord } from '../../../src/worker/guest/record.ts'
import { newState } from '../../../src/worker/guest/state.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vg-'))
})
afterEach(() => rm(dir, { recursive: true }))

const clock = createFakeClock()
const volume = {
  volumeName: 'data',
  diskTarget: 'vda',
  node: 'v1-fmt',
  targetNode: 'b1-target',
  job: 'backup-1',
}

async function recordOf(latest: Partial<BackupState> = {}): Promise<GuestRecord> {
  const record = new GuestRecord({
    state: newState({ uid: 'u1', namespace: 'ns1', name: 'vm1' }, 1),
    file: join(dir, 'state.json'),
    clock,
    publish: (_report: GuestReport) => {},
  })
  const volumes = [{ ...volume, file: join(dir, 'data.qcow2') }]
  await keepBackup(record, {
    latest: { name: 'b1', startMs: clock.now(), volumes, ...latest },
    checkpoints: [],
  })
  return record
}

/** A monitor whose jobs are these, one list for each look. */
function monitor(...looks: object[][]) {
  const seen: string[] = []
  return {
    seen,
    command: async <T>(name: string, args: object = {}): Promise<T> => {
      if (name === 'query-jobs') return (looks.shift() ?? []) as T
      if (name === 'query-named-block-nodes') return [] as T
      seen.push(`${name} ${Object.values(args).join(' ')}`)
      if (name === 'blockdev-del') throw new QmpError(name, 'GenericError', 'no such node')
      return {} as T
    },
  }
}

const backupOf = (record: GuestRecord) => record.report.status.changedBlockTracking?.backupStatus

test('a backup runs until its jobs have concluded, and is a checkpoint then', async () => {
  const record = await recordOf()
  const machine = monitor([{ id: 'backup-1', status: 'running' }], [{ id: 'backup-1', status: 'concluded' }])
  expect((await tendBackup({ machine, record, clock })).waitMs).toBeGreaterThan(0)
  expect(backupOf(record)).toMatchObject({ completed: false })
  expect(await tendBackup({ machine, record, clock })).toEqual({})
  expect(backupOf(record)).toMatchObject({ completed: true, failed: false, checkpointName: 'b1' })
  expect(machine.seen).toEqual(['job-dismiss backup-1', 'blockdev-del b1-target'])
  expect(JSON.parse(readFileSync(join(dir, 'state.json'), 'utf8')).backup.checkpoints).toHaveLength(1)
  expect(await tendBackup({ machine, record, clock })).toEqual({})
})

test('one that nobody wants any more is cancelled, and fails', async () => {
  const record = await recordOf({ aborted: true })
  const machine = monitor([{ id: 'backup-1', status: 'running' }], [{ id: 'backup-1', status: 'concluded' }])
  await tendBackup({ machine, record, clock })
  expect(machine.seen).toEqual(['block-job-cancel backup-1 true'])
  await tendBackup({ machine, record, clock })
  expect(backupOf(record)).toMatchObject({ completed: true, failed: true, backupMsg: 'aborted' })
  expect(record.state.backup?.checkpoints).toEqual([])
})

test.each([
  [
    'whose job failed',
    [{ id: 'backup-1', status: 'concluded', error: 'No space left on device' }],
    'No space left',
  ],
  ['of which QEMU knows nothing', [], 'QEMU knows nothing of it'],
])('one %s has failed, says why, and is no checkpoint', async (_what, jobs, words) => {
  const record = await recordOf()
  await tendBackup({ machine: monitor(jobs), record, clock })
  expect(backupOf(record)).toMatchObject({ failed: true, backupMsg: expect.stringContaining(words) })
  expect(backupOf(record)?.checkpointName).toBeUndefined()
  expect(record.report.events.at(-1)).toMatchObject({ type: 'Warning', reason: 'BackupError' })
})

test('one whose guest has ended has failed, with every checkpoint', async () => {
  const record = await recordOf()
  await abandonBackup(record, clock)
  expect(backupOf(record)).toMatchObject({ completed: true, failed: true })
  expect(record.state.backup?.checkpoints).toEqual([])
})
