import { mkdtempSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { QmpError } from '../../../src/qemu/qmp/client.ts'
import type { GuestReport } from '../../../src/rpc/actions.ts'
import { type BackupState, keepBackup } from '../../../src/worker/backup/state.ts'
import { abandonBackup, PULL_LIMIT_MS, tendBackup } from '../../../src/worker/backup/tend.ts'
import { keepTarget, loadTarget } from '../../../src/worker/backup/export-target.ts'
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

/** Says what it was told to do. */
function exporter(seen: string[]) {
  let isOn = false
  return {
    isRunning: () => isOn,
    begin: () => {
      isOn = true
      seen.push('exporter begins')
    },
    end: () => {
      isOn = false
      seen.push('exporter ends')
    },
  }
}

/** A monitor whose jobs are these, one list for each look. */
function monitor(...looks: object[][]) {
  const seen: string[] = []
  return {
    seen,
    exporter: exporter(seen),
    command: async <T>(name: string, args: object = {}): Promise<T> => {
      if (name === 'query-jobs') return (looks.shift() ?? []) as T
      if (name === 'query-named-block-nodes' || name === 'query-block-exports') return [] as T
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
  expect((await tendBackup({ machine, record, files: { generated: dir }, clock })).waitMs).toBeGreaterThan(0)
  expect(backupOf(record)).toMatchObject({ completed: false })
  expect(await tendBackup({ machine, record, files: { generated: dir }, clock })).toEqual({})
  expect(backupOf(record)).toMatchObject({ completed: true, failed: false, checkpointName: 'b1' })
  expect(machine.seen).toEqual(['job-dismiss backup-1', 'blockdev-del b1-target'])
  expect(JSON.parse(readFileSync(join(dir, 'state.json'), 'utf8')).backup.checkpoints).toHaveLength(1)
  expect(await tendBackup({ machine, record, files: { generated: dir }, clock })).toEqual({})
})

test('one that nobody wants any more is cancelled, and fails', async () => {
  const record = await recordOf({ aborted: true })
  const machine = monitor([{ id: 'backup-1', status: 'running' }], [{ id: 'backup-1', status: 'concluded' }])
  await tendBackup({ machine, record, files: { generated: dir }, clock })
  expect(machine.seen).toEqual(['block-job-cancel backup-1 true'])
  await tendBackup({ machine, record, files: { generated: dir }, clock })
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
  await tendBackup({ machine: monitor(jobs), record, files: { generated: dir }, clock })
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

const target = { host: '127.0.0.1', port: 1, serverName: 'x', ca: 'a', cert: 'c', key: 'k' }
const running = { id: 'backup-1', status: 'running' }
const cancelled = { id: 'backup-1', status: 'concluded', error: 'Operation canceled' }
const pulled = {
  mode: 'Pull',
  runDir: '/run/u1',
  volumes: [{ ...volume, file: '/nowhere/x', bitmap: 'since_b0' }],
} as const

const pullOf = (more: Partial<BackupState> = {}) =>
  recordOf({ ...pulled, volumes: [...pulled.volumes], ...more })

test('a backup in pull mode says where it is read, and is made readable after a crash', async () => {
  const record = await pullOf({ exportTo: '127.0.0.1:1' })
  await keepTarget({ generated: dir }, target)
  const machine = monitor([running])
  const { waitMs } = await tendBackup({ machine, record, files: { generated: dir }, clock })
  expect(waitMs).toBeGreaterThan(1000)
  expect(machine.seen[0]).toMatch(/^block-export-add nbd backup-1 b1-target data false/)
  expect(machine.seen[1]).toBe('exporter begins')
  expect(backupOf(record)?.volumes).toEqual([
    {
      volumeName: 'data',
      diskTarget: 'vda',
      dataEndpoint: 'nbd+unix:///data?socket=%2Frun%2Fu1%2Fbackup.sock',
      mapEndpoint: 'nbd+unix:///data?socket=%2Frun%2Fu1%2Fbackup.sock#qemu:dirty-bitmap:since_b0',
    },
  ])
})

test('one in pull mode that is ended is taken down, and is a checkpoint without an image', async () => {
  const record = await pullOf({ aborted: true })
  await keepTarget({ generated: dir }, target)
  const machine = monitor([running], [cancelled])
  const options = { machine, record, files: { generated: dir }, clock }
  await tendBackup(options)
  expect(machine.seen).toEqual(['exporter ends', 'nbd-server-stop ', 'block-job-cancel backup-1 true'])
  expect(await loadTarget({ generated: dir })).toBeUndefined()
  await tendBackup(options)
  expect(machine.seen.slice(5)).toEqual([
    'job-dismiss backup-1',
    'blockdev-del b1-target',
    'block-dirty-bitmap-remove v1-fmt since_b0',
  ])
  expect(backupOf(record)).toMatchObject({ completed: true, failed: false, checkpointName: 'b1' })
  expect(backupOf(record)?.volumes?.[0]).toEqual({ volumeName: 'data', diskTarget: 'vda' })
  expect(record.state.backup?.checkpoints[0]?.volumes).toEqual([{ volumeName: 'data', node: 'v1-fmt' }])
})

test.each<[string, Partial<BackupState>, object[], string]>([
  ['whose image is full', {}, [{ ...cancelled, error: 'No space left on device' }], 'No space left'],
  ['that QEMU has ended', {}, [{ ...cancelled, error: undefined }], 'QEMU has ended it'],
  ['that was full before it was ended', { aborted: true }, [{ ...cancelled, error: 'No space' }], 'No space'],
  ['of which QEMU knows nothing', {}, [], 'QEMU knows nothing of it'],
  [
    'that nobody ends',
    { startMs: clock.now() - PULL_LIMIT_MS },
    [running],
    'nobody has ended it within 24 h',
  ],
  ['that did not begin', { failing: 'no' }, [running], 'no'],
])('one in pull mode %s fails, and is no checkpoint', async (_what, more, jobs, words) => {
  const record = await pullOf(more)
  const machine = monitor(jobs, jobs.length > 0 ? [cancelled] : [], jobs.length > 0 ? [cancelled] : [])
  const options = { machine, record, files: { generated: dir }, clock }
  for (let look = 0; look < 3; look += 1) await tendBackup(options)
  expect(machine.seen).toContain('nbd-server-stop ')
  expect(backupOf(record)).toMatchObject({ completed: true, failed: true })
  expect(backupOf(record)?.backupMsg).toContain(words)
  expect(record.state.backup?.checkpoints).toEqual([])
})
