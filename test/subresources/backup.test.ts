import { expect, test } from 'vitest'
import { badRequest, conflict, notFound, StatusError } from '../../src/lib/errors.ts'
import type { Actions, BackupCheckpoint, BackupOptions } from '../../src/rpc/actions.ts'
import { WorkerUnreachable } from '../../src/rpc/unreachable.ts'
import { apiOf, put, vmiOf } from '../helpers/api.ts'

const BACKUP = '/virtualmachineinstances/vm1/backup'
const REDEFINE = '/virtualmachineinstances/vm1/redefine-checkpoint'
const tracked = vmiOf('Running', { status: { changedBlockTracking: { state: 'Enabled' } } })
const guest = { group: '', kind: 'guest' }

function recording() {
  const backups: BackupOptions[] = []
  const checkpoints: BackupCheckpoint[] = []
  const node: Partial<Actions> = {
    backup: async (_guest, options) => void backups.push(options),
    redefineCheckpoint: async (_guest, checkpoint) => void checkpoints.push(checkpoint),
  }
  return { backups, checkpoints, node }
}

test('the options of a backup reach the node, unknown ones left out', async () => {
  const { backups, node } = recording()
  const { app } = apiOf({ vmi: vmiOf(), node })
  const body = '{"backupName":"b1","cmd":"Start","MODE":"Push","targetPath":"/b","skipQuiesce":true,"more":1}'
  expect((await put(app, BACKUP, body)).statusCode).toBe(200)
  expect(backups).toEqual([
    { backupName: 'b1', cmd: 'Start', mode: 'Push', targetPath: '/b', skipQuiesce: true },
  ])
})

test('a backup in pull mode, and to whom it is exported, reach the node', async () => {
  const { backups, node } = recording()
  const { app } = apiOf({ vmi: vmiOf(), node })
  const start = { backupName: 'b1', cmd: 'Start', mode: 'Pull', incremental: 'b0' } as const
  const target = {
    exportServerAddr: 'export:1',
    exportServerName: 'x',
    backupKey: 'k',
    backupCert: 'c',
    caCert: 'a',
  }
  const exporting = { backupName: 'b1', cmd: 'Export', ...target } as const
  for (const body of [start, exporting]) {
    expect((await put(app, BACKUP, JSON.stringify(body))).statusCode).toBe(200)
  }
  expect(backups).toEqual([start, exporting])
})

test.each([
  ['absent', undefined, 404],
  ['scheduled', vmiOf('Scheduled'), 409],
  ['over', vmiOf('Succeeded'), 409],
])('a backup of a guest that is %s is refused', async (_state, vmi, code) => {
  const { app } = apiOf({ vmi, node: recording().node })
  expect((await put(app, BACKUP, '{}')).json()).toMatchObject({ kind: 'Status', code })
})

test.each(['{"cmd":"start"}', '{"mode":"push"}', '{"skipQuiesce":"yes"}', '[]', '{'])(
  'the backup %s is refused with 400 before the node is asked',
  async (body) => {
    const { backups, node } = recording()
    const { app } = apiOf({ vmi: vmiOf(), node })
    expect((await put(app, BACKUP, body)).json()).toMatchObject({ kind: 'Status', code: 400 })
    expect(backups).toEqual([])
  },
)

test.each([
  ['that the options cannot be', badRequest('no pull mode'), 400, 'no pull mode'],
  ['that the guest is not ready', conflict(guest, 'vm1', 'busy'), 409, 'busy'],
  ['that it does not have the guest', notFound(guest, 'vm1'), 500, '404'],
])('a node that answers %s is told as such', async (_what, error, code, words) => {
  const { app } = apiOf({ vmi: vmiOf(), node: { backup: () => Promise.reject(error) } })
  const body = (await put(app, BACKUP, '{}')).json()
  expect(body).toMatchObject({ kind: 'Status', code, message: expect.stringContaining(words) })
})

test('a checkpoint reaches the node as it is', async () => {
  const { checkpoints, node } = recording()
  const { app } = apiOf({ vmi: tracked, node })
  const checkpoint = { name: 'c1', volumes: [{ volumeName: 'data', diskTarget: 'vda' }] }
  expect((await put(app, REDEFINE, JSON.stringify(checkpoint))).statusCode).toBe(200)
  expect(checkpoints).toEqual([checkpoint])
})

test.each([
  ['absent', undefined, 404],
  ['not tracked', vmiOf(), 409],
  [
    'to be tracked later',
    vmiOf('Running', { status: { changedBlockTracking: { state: 'PendingRestart' } } }),
    409,
  ],
  ['on no node', vmiOf('Pending', { status: { changedBlockTracking: { state: 'Enabled' } } }), 400],
])('a checkpoint of a guest that is %s is refused', async (_state, vmi, code) => {
  const { app } = apiOf({ vmi, node: recording().node })
  expect((await put(app, REDEFINE, '{"name":"c1"}')).json()).toMatchObject({ kind: 'Status', code })
})

test.each(['{"volumes":1}', '{"volumes":[1]}', '{"volumes":[{"volumeName":1}]}', '{"name":1}'])(
  'the checkpoint %s is refused with 400',
  async (body) => {
    const { app } = apiOf({ vmi: tracked, node: recording().node })
    expect((await put(app, REDEFINE, body)).json()).toMatchObject({ kind: 'Status', code: 400 })
  },
)

test.each([
  ['cannot be used', new StatusError(422, 'Invalid', 'gone'), 422, '422 Unprocessable Entity: gone'],
  ['may do later', new StatusError(503, 'ServiceUnavailable', 'busy'), 503, '503 Service Unavailable: busy'],
  ['met with something else', notFound(guest, 'vm1'), 503, '503 Service Unavailable'],
  [
    'is on a node that does not answer',
    new WorkerUnreachable('n1', 'x', new Error('no')),
    503,
    '503 Service Unavailable',
  ],
])('a checkpoint that %s is told with code and phrase in the message', async (_what, error, code, words) => {
  const { app } = apiOf({ vmi: tracked, node: { redefineCheckpoint: () => Promise.reject(error) } })
  const body = (await put(app, REDEFINE, '{"name":"c1"}')).json()
  expect(body).toMatchObject({ kind: 'Status', code, message: expect.stringContaining(words) })
})
