/** The actions on a VMI that go to its node (contract 3.7); `pause` has a file of its own. */
import { describe, expect, test } from 'vitest'
import { StatusError } from '../../src/lib/errors.ts'
import type { Actions } from '../../src/rpc/actions.ts'
import { WorkerUnreachable } from '../../src/rpc/unreachable.ts'
import { refuse } from '../../src/worker/guest/guest.ts'
import { apiOf, put, vmiOf, vmOf } from '../helpers/api.ts'

const PAUSED = { conditions: [{ type: 'Paused', status: 'True' }] }
const AGENT = { type: 'AgentConnected', status: 'True' }
const noAcpi = { domain: { devices: {}, features: { acpi: { enabled: false } } } }

function recording(): { seen: string[]; node: Partial<Actions> } {
  const seen: string[] = []
  const note =
    (action: string) =>
    async ({ uid }: { uid: string }) =>
      void seen.push(`${action} ${uid}`)
  return {
    seen,
    node: {
      pause: note('pause'),
      unpause: note('unpause'),
      reset: note('reset'),
      softreboot: note('softreboot'),
    },
  }
}

test.each([
  ['unpause', 'paused', vmiOf('Running', { status: PAUSED }), 200],
  ['unpause', 'not paused', vmiOf(), 409],
  ['unpause', 'scheduled', vmiOf('Scheduled', { status: PAUSED }), 409],
  ['unpause', 'absent', undefined, 404],
  ['softreboot', 'running', vmiOf(), 200],
  ['softreboot', 'paused', vmiOf('Running', { status: PAUSED }), 409],
  ['softreboot', 'scheduled', vmiOf('Scheduled'), 409],
  ['softreboot', 'without ACPI', vmiOf('Running', { spec: noAcpi }), 409],
  [
    'softreboot',
    'without ACPI but with an agent',
    vmiOf('Running', { spec: noAcpi, status: { conditions: [AGENT] } }),
    200,
  ],
  ['softreboot', 'absent', undefined, 404],
  ['reset', 'running', vmiOf(), 200],
  ['reset', 'paused', vmiOf('Running', { status: PAUSED }), 200],
  ['reset', 'scheduled', vmiOf('Scheduled'), 200],
  ['reset', 'pending', vmiOf('Pending'), 400],
  ['reset', 'over', vmiOf('Succeeded'), 400],
  ['reset', 'absent', undefined, 404],
] as const)('%s of a guest that is %s', async (action, _state, vmi, code) => {
  const { seen, node } = recording()
  const { app } = apiOf({ vmi, node })
  const response = await put(app, `/virtualmachineinstances/vm1/${action}`)
  expect(response.statusCode).toBe(code)
  expect(seen).toEqual(code === 200 ? [`${action} u1`] : [])
  expect(response.body === '').toBe(code === 200)
})

const READY = {
  pause: vmiOf(),
  unpause: vmiOf('Running', { status: PAUSED }),
  reset: vmiOf(),
  softreboot: vmiOf(),
}

describe.each(['pause', 'unpause', 'reset', 'softreboot'] as const)('%s', (action) => {
  const vmi = READY[action]
  const path = `/virtualmachineinstances/vm1/${action}`

  test.each([
    ['its own conflict', new StatusError(409, 'Conflict', 'busy'), 409, 'busy'],
    ['that it does not have the guest', new StatusError(404, 'NotFound', 'no u1'), 500, '404: no u1'],
    ['not at all', new WorkerUnreachable('n1', action, new Error('ECONNREFUSED')), 503, 'n1'],
  ])('tells that the node answers %s', async (_what, error, code, words) => {
    const { app } = apiOf({ vmi, node: { [action]: () => Promise.reject(error) } })
    const body = (await put(app, path)).json()
    expect(body).toMatchObject({ kind: 'Status', code })
    expect(body.message).toContain(words)
    expect(body.message).not.toContain('ECONNREFUSED')
  })

  test('asks nothing of the node in a dry run, which still finds what is wrong', async () => {
    expect((await put(apiOf({ vmi, node: {} }).app, `${path}?dryRun=All`)).statusCode).toBe(200)
    expect((await put(apiOf({ vmi }).app, `${path}?dryRun=All`)).statusCode).toBe(503)
    expect((await put(apiOf({ vmi, node: {} }).app, `${path}?dryRun=Yes`)).statusCode).toBe(422)
  })

  test('is 503 where no node of that name is there', async () => {
    expect((await put(apiOf({ vmi }).app, path)).json()).toMatchObject({
      code: 503,
      reason: 'ServiceUnavailable',
    })
  })
})

test.each([
  ['as workers word it', refuse({ uid: 'u1', namespace: 'ns1', name: 'vm1' }, 'VMI is frozen')],
  ['in other words', new StatusError(409, 'Conflict', 'VMI is frozen')],
])('a conflict that the node tells %s names the VMI once', async (_how, error) => {
  const { app } = apiOf({ vmi: READY.pause, node: { pause: () => Promise.reject(error) } })
  expect((await put(app, '/virtualmachineinstances/vm1/pause')).json()).toMatchObject({
    code: 409,
    reason: 'Conflict',
    message: 'Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io "vm1": VMI is frozen',
    details: { name: 'vm1', group: 'kubevirt.io', kind: 'virtualmachineinstance' },
  })
})

test.each(['pause', 'unpause'] as const)('%s reads its options', async (action) => {
  const { app, path } = {
    ...apiOf({ vmi: READY[action], node: {} }),
    path: `/virtualmachineinstances/vm1/${action}`,
  }
  expect((await put(app, path, '{"dryRun":["All"]}')).statusCode).toBe(200)
  expect((await put(app, path, '{"dryRun":"All"}')).statusCode).toBe(400)
})

test.each(['reset', 'softreboot'] as const)('%s ignores its body', async (action) => {
  const { seen, node } = recording()
  const { app } = apiOf({ vmi: READY[action], node })
  expect((await put(app, `/virtualmachineinstances/vm1/${action}`, '[not even YAML')).statusCode).toBe(200)
  expect(seen).toEqual([`${action} u1`])
})

test('a guest is not resumed while its disks are being copied', async () => {
  const { seen, node } = recording()
  const vm = vmOf({}, { snapshotInProgress: 'snap' })
  const { app } = apiOf({ vm, vmi: READY.unpause, node })
  const response = await put(app, '/virtualmachineinstances/vm1/unpause', '[')
  expect(response.json()).toMatchObject({ code: 409, details: { kind: 'virtualmachine' } })
  expect(seen).toEqual([])
})
