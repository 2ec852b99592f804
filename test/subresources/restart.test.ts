import { expect, test } from 'vitest'
import { StatusError } from '../../src/lib/errors.ts'
import { VMIS, VMS } from '../../src/kinds/table.ts'
import { apiOf, put, vmiOf, vmOf } from '../helpers/api.ts'
import { ALL, STRATEGIES, VMIS_BY_CLASS, type ClassName, type StrategyName } from '../helpers/situations.ts'

const RESTART = '/virtualmachines/vm1/restart'
const requests = [{ action: 'Stop', uid: 'u1' }, { action: 'Start' }]

const REFUSED: StrategyName[] = ['Halted', 'running: false', 'neither field', 'Once']
const TAKEN: StrategyName[] = ['Always', 'running: true', 'Manual', 'RerunOnFailure', 'WaitAsReceiver']
const rows = (names: StrategyName[], classes: ClassName[], code: number) =>
  names.flatMap((name) => classes.map((vmi): [StrategyName, ClassName, number] => [name, vmi, code]))

test.each([
  ...rows(REFUSED, ALL, 409),
  ...rows(TAKEN, ['none'], 409),
  ...rows(
    TAKEN,
    ALL.filter((name) => name !== 'none'),
    202,
  ),
])('restart: %s, VMI %s is %i', async (strategy, vmi, code) => {
  const { app, find } = apiOf({ vm: vmOf(STRATEGIES[strategy], {}), vmi: VMIS_BY_CLASS[vmi] })
  expect((await put(app, RESTART)).statusCode).toBe(code)
  expect(find(VMS, 'ns1', 'vm1')?.status?.stateChangeRequests).toEqual(code === 202 ? requests : undefined)
  expect(find(VMS, 'ns1', 'vm1')?.spec).toEqual(vmOf(STRATEGIES[strategy]).spec)
})

test.each([1, -1, 30])('a grace period of %i is refused: only 0 is possible', async (gracePeriodSeconds) => {
  const { app } = apiOf({ vm: vmOf({ running: true }), vmi: vmiOf() })
  const response = await put(app, RESTART, JSON.stringify({ gracePeriodSeconds }))
  expect(response.json()).toMatchObject({ code: 400, reason: 'BadRequest' })
})

test('a forced restart leaves the guest one second', async () => {
  const { app, find } = apiOf({ vm: vmOf({ running: true }, {}), vmi: vmiOf() })
  expect((await put(app, RESTART, '{"gracePeriodSeconds":0}')).statusCode).toBe(202)
  expect(find(VMIS, 'ns1', 'vm1')?.spec.terminationGracePeriodSeconds).toBe(1)
})

test('a forced restart that fails leaves no trace', async () => {
  const api = apiOf({ vm: vmOf({ running: true }, {}), vmi: vmiOf() })
  let patch = 0
  api.interfere(() => {
    patch += 1
    if (patch === 2) throw new StatusError(500, 'InternalError', 'no')
  })
  expect((await put(api.app, RESTART, '{"gracePeriodSeconds":0}')).statusCode).toBe(500)
  expect(api.find(VMIS, 'ns1', 'vm1')?.spec).not.toHaveProperty('terminationGracePeriodSeconds')
})

test('a second restart waits for the first', async () => {
  const { app } = apiOf({ vm: vmOf({ running: true }, {}), vmi: vmiOf() })
  expect((await put(app, RESTART)).statusCode).toBe(202)
  expect((await put(app, RESTART)).json()).toMatchObject({ code: 409, reason: 'Conflict' })
})

test.each(['ManualRecoveryRequired', 'VolumesChange'])(
  'a VM with condition %s is not restarted',
  async (type) => {
    const vm = vmOf({ running: true }, { conditions: [{ type, status: 'True' }] })
    expect((await put(apiOf({ vm, vmi: vmiOf() }).app, RESTART)).statusCode).toBe(409)
  },
)

test("somebody else's VMI of that name is not restarted", async () => {
  const stranger = vmiOf()
  stranger.metadata.ownerReferences = []
  expect((await put(apiOf({ vm: vmOf({ running: true }), vmi: stranger }).app, RESTART)).statusCode).toBe(409)
})

test('a dry run changes nothing', async () => {
  const { app, find } = apiOf({ vm: vmOf({ running: true }, {}), vmi: vmiOf() })
  expect((await put(app, `${RESTART}?dryRun=All`, '{"gracePeriodSeconds":0}')).statusCode).toBe(202)
  expect(find(VMS, 'ns1', 'vm1')?.status).toEqual({})
  expect(find(VMIS, 'ns1', 'vm1')?.spec).not.toHaveProperty('terminationGracePeriodSeconds')
})

test('a VM that is not there is 404', async () => {
  expect((await put(apiOf({}).app, RESTART)).statusCode).toBe(404)
})
