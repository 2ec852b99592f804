/** What the guest's agent tells: `guestosinfo`, `userlist`, `filesystemlist` (contract 5). */
import { expect, test } from 'vitest'
import { StatusError } from '../../src/lib/errors.ts'
import type { AgentInfo } from '../../src/rpc/actions.ts'
import { WorkerUnreachable } from '../../src/rpc/unreachable.ts'
import { ALICE, apiOf, BASE, vmiOf } from '../helpers/api.ts'

const AGENT = { conditions: [{ type: 'AgentConnected', status: 'True' }] }
const withAgent = vmiOf('Running', { status: AGENT })
const ROUTES = ['guestosinfo', 'userlist', 'filesystemlist'] as const

const users = Array.from({ length: 12 }, (_, index) => ({ userName: `u${index}`, loginTime: index + 0.5 }))
const filesystems = Array.from({ length: 12 }, (_, index) => ({
  diskName: `vda${index}`,
  mountPoint: `/${index}`,
  fileSystemType: 'ext4',
  usedBytes: 1,
  totalBytes: 2,
}))
const FULL: AgentInfo = {
  info: {
    guestAgentVersion: '7.2',
    hostname: 'vm1',
    os: { id: 'debian' },
    timezone: 'CET, 3600',
    fsFreezeStatus: 'thawed',
  },
  users,
  filesystems,
}
const EMPTY: AgentInfo = { info: { os: {} }, users: [], filesystems: [] }

async function get(
  route: string,
  { vmi = withAgent, info = FULL }: { vmi?: typeof withAgent | undefined; info?: AgentInfo | Error } = {},
) {
  const agentInfo = async () => {
    if (info instanceof Error) throw info
    return info
  }
  const { app } = apiOf({ vmi, node: { agentInfo } })
  return app.inject({ method: 'GET', url: `${BASE}/virtualmachineinstances/vm1/${route}`, headers: ALICE })
}

test('the system is told with ten users and ten file systems, the lists with all', async () => {
  expect((await get('guestosinfo')).json()).toEqual({
    ...FULL.info,
    userList: users.slice(0, 10),
    fsInfo: { disks: filesystems.slice(0, 10) },
  })
  expect((await get('userlist')).json()).toEqual({ metadata: {}, items: users })
  expect((await get('filesystemlist')).json()).toEqual({ metadata: {}, items: filesystems })
})

test('what is not known is left out, but the lists and what is always there', async () => {
  expect((await get('guestosinfo', { info: EMPTY })).json()).toEqual({ os: {}, fsInfo: { disks: [] } })
  expect((await get('userlist', { info: EMPTY })).json()).toEqual({ metadata: {}, items: [] })
  expect((await get('filesystemlist', { info: EMPTY })).json()).toEqual({ metadata: {}, items: [] })
})

test.each(
  ROUTES.flatMap((route) =>
    (
      [
        ['scheduled', vmiOf('Scheduled', { status: AGENT }), 409],
        ['over', vmiOf('Succeeded', { status: AGENT }), 409],
        ['without an agent', vmiOf(), 409],
        [
          'without one any more',
          vmiOf('Running', { status: { conditions: [{ type: 'AgentConnected', status: 'False' }] } }),
          409,
        ],
      ] as const
    ).map(([state, vmi, code]) => [route, state, vmi, code] as const),
  ),
)('%s of a guest that is %s is refused', async (route, _state, vmi, code) => {
  const response = await get(route, { vmi })
  expect(response.statusCode).toBe(code)
  expect(response.json()).toMatchObject({ kind: 'Status', code, details: { name: 'vm1' } })
})

test.each(ROUTES)('%s of a guest that is absent is 404', async (route) => {
  const { app } = apiOf({ node: {} })
  const response = await app.inject({
    method: 'GET',
    url: `${BASE}/virtualmachineinstances/vm1/${route}`,
    headers: ALICE,
  })
  expect(response.json()).toMatchObject({ code: 404, reason: 'NotFound' })
})

test.each(ROUTES)('%s passes the failure of a node on', async (route) => {
  const conflict = new StatusError(409, 'Conflict', 'no agent any more')
  expect((await get(route, { info: conflict })).json()).toMatchObject({ code: 409 })
  const away = new WorkerUnreachable('n1', 'agentInfo', new Error('ECONNREFUSED'))
  expect((await get(route, { info: away })).json()).toMatchObject({ code: 503 })
})
