import { expect, test } from 'vitest'
import type { StateChangeRequest, Vmi } from '../../src/kinds/kubevirt.ts'
import { VMIS, VMS } from '../../src/kinds/table.ts'
import { apiOf, put, vmiOf, vmOf } from '../helpers/api.ts'
import {
  ACTIVE,
  ALL,
  OVER,
  STRATEGIES,
  UNKNOWN,
  VMIS_BY_CLASS,
  type ClassName,
  type StrategyName,
} from '../helpers/situations.ts'

const STOP = '/virtualmachines/vm1/stop'
const end: StateChangeRequest[] = [{ action: 'Stop', uid: 'u1' }]
const UP: ClassName[] = [...UNKNOWN, ...ACTIVE]

type Expected = 409 | { runStrategy: string } | { running: boolean } | StateChangeRequest[]
type Row = [StrategyName, ClassName, old: number | undefined, grace: number | undefined, Expected]

const row = (
  names: StrategyName[],
  classes: ClassName[],
  grace: [number | undefined, number | undefined],
  expected: Expected,
) => names.flatMap((name) => classes.map((vmi): Row => [name, vmi, ...grace, expected]))

const OFF: StrategyName[] = ['Halted', 'running: false', 'neither field']
const BY_REQUEST: StrategyName[] = ['Manual', 'RerunOnFailure']
const NO_GRACE: [undefined, undefined] = [undefined, undefined]

test.each<Row>([
  ...row(OFF, ALL, NO_GRACE, 409),
  ...row(OFF, UP, [undefined, 10], end),
  ...row(OFF, UP, [30, 10], end),
  ...row(OFF, UP, [30, 0], end),
  ...row(OFF, UP, [30, 30], 409),
  ...row(OFF, UP, [30, 60], 409),
  ...row(OFF, ['none', ...OVER], [30, 10], 409),
  ...row(BY_REQUEST, ['none', ...OVER], NO_GRACE, 409),
  ...row(BY_REQUEST, ['none', ...OVER], [30, 10], 409),
  ...row(BY_REQUEST, UP, NO_GRACE, end),
  ...row(BY_REQUEST, UP, [30, 60], end),
  ...row(['Always', 'Once'], ALL, NO_GRACE, { runStrategy: 'Halted' }),
  ...row(['Always', 'Once'], ALL, [30, 10], { runStrategy: 'Halted' }),
  ...row(['running: true'], ALL, [30, 10], { running: false }),
  ...row(['WaitAsReceiver'], ALL, [30, 10], 409),
])('stop: %s, VMI %s, grace period %s → %s', async (strategy, className, old, grace, expected) => {
  const vmi = withGrace(VMIS_BY_CLASS[className], old)
  const { app, find } = apiOf({ vm: vmOf(STRATEGIES[strategy], {}), vmi })
  const response = await put(app, STOP, JSON.stringify(grace === undefined ? {} : { gracePeriod: grace }))
  const after = find(VMS, 'ns1', 'vm1')
  const isGraceSet = expected !== 409 && grace !== undefined && UP.includes(className)
  expect({
    code: response.statusCode,
    spec: after?.spec,
    requests: after?.status?.stateChangeRequests,
    grace: find(VMIS, 'ns1', 'vm1')?.spec.terminationGracePeriodSeconds,
  }).toEqual({ ...outcome(strategy, expected), grace: isGraceSet ? grace : vmi && old })
})

function withGrace(vmi: Vmi | undefined, seconds: number | undefined): Vmi | undefined {
  if (!vmi || seconds === undefined) return vmi
  return { ...vmi, spec: { ...vmi.spec, terminationGracePeriodSeconds: seconds } }
}

function outcome(strategy: StrategyName, expected: Expected) {
  const { spec } = vmOf(STRATEGIES[strategy])
  if (expected === 409) return { code: 409, spec, requests: undefined }
  if (Array.isArray(expected)) return { code: 202, spec, requests: expected }
  return { code: 202, spec: { ...spec, ...expected }, requests: undefined }
}

test('a stop takes the place of whatever is pending', async () => {
  const stateChangeRequests = [{ action: 'Stop' as const, uid: 'old' }, { action: 'Start' as const }]
  const { app, find } = apiOf({ vm: vmOf({ runStrategy: 'Manual' }, { stateChangeRequests }), vmi: vmiOf() })
  expect((await put(app, STOP)).statusCode).toBe(202)
  expect(find(VMS, 'ns1', 'vm1')?.status?.stateChangeRequests).toEqual(end)
})

test('a negative grace period is refused', async () => {
  const { app, patches } = apiOf({ vm: vmOf({ runStrategy: 'Manual' }), vmi: vmiOf() })
  expect((await put(app, STOP, '{"gracePeriod":-1}')).json()).toMatchObject({
    code: 400,
    reason: 'BadRequest',
  })
  expect(patches).toEqual([])
})

test('what is wrong with the body is said before that there is no VM', async () => {
  expect((await put(apiOf({}).app, STOP, '{')).statusCode).toBe(400)
  expect((await put(apiOf({}).app, STOP)).statusCode).toBe(404)
})

test('a dry run with a grace period changes neither object', async () => {
  const vmi = withGrace(vmiOf(), 30)
  const { app, find, patches } = apiOf({ vm: vmOf({ runStrategy: 'Manual' }, {}), vmi })
  expect((await put(app, STOP, '{"gracePeriod":5,"dryRun":["All"]}')).statusCode).toBe(202)
  expect(patches.map(({ kind, dryRun }) => [kind, dryRun])).toEqual([
    ['virtualmachineinstances', true],
    ['virtualmachines', true],
  ])
  expect(find(VMIS, 'ns1', 'vm1')?.spec.terminationGracePeriodSeconds).toBe(30)
})

test.each([30, undefined])('a stop that fails half-way puts the grace period back to %s', async (old) => {
  const { StatusError } = await import('../../src/lib/errors.ts')
  const api = apiOf({ vm: vmOf({ runStrategy: 'Manual' }, {}), vmi: withGrace(vmiOf(), old) })
  let patch = 0
  api.interfere(() => {
    patch += 1
    if (patch === 2) throw new StatusError(403, 'Forbidden', 'no')
  })
  expect((await put(api.app, STOP, '{"gracePeriod":5}')).statusCode).toBe(403)
  expect(api.find(VMIS, 'ns1', 'vm1')?.spec.terminationGracePeriodSeconds).toBe(old)
})

test('a race lost half-way does not change what is decided', async () => {
  const vm = vmOf({ runStrategy: 'Halted' }, {})
  const api = apiOf({ vm, vmi: withGrace(vmiOf(), 30) })
  let patch = 0
  api.interfere(() => {
    patch += 1
    if (patch === 2) api.put(VMS, vm)
  })
  // Halted: only a shorter period than the present one is accepted, which must not be our own of the first try.
  expect((await put(api.app, STOP, '{"gracePeriod":5}')).statusCode).toBe(202)
  expect(api.find(VMIS, 'ns1', 'vm1')?.spec.terminationGracePeriodSeconds).toBe(5)
})

test("somebody else's VMI of that name is left alone", async () => {
  const stranger = vmiOf()
  stranger.metadata.ownerReferences = []
  const { app, find } = apiOf({ vm: vmOf({ runStrategy: 'Manual' }, {}), vmi: stranger })
  expect((await put(app, STOP, '{"gracePeriod":5}')).statusCode).toBe(409)
  expect(find(VMIS, 'ns1', 'vm1')?.spec.terminationGracePeriodSeconds).toBeUndefined()
})
