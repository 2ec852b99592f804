import { expect, test } from 'vitest'
import type { StateChangeRequest } from '../../src/kinds/kubevirt.ts'
import { VMS } from '../../src/kinds/table.ts'
import { apiOf, put, vmiOf, vmOf } from '../helpers/api.ts'
import {
  ACTIVE,
  STRATEGIES,
  UNKNOWN,
  VMIS_BY_CLASS,
  type ClassName,
  type StrategyName,
} from '../helpers/situations.ts'

const START = '/virtualmachines/vm1/start'
const begin: StateChangeRequest = { action: 'Start' }
const paused: StateChangeRequest = { action: 'Start', data: { paused: 'true' } }
const end: StateChangeRequest = { action: 'Stop', uid: 'u1' }

type Expected = 409 | { runStrategy: string } | { running: boolean } | StateChangeRequest[]
type Row = [StrategyName, ClassName, body: string, Expected]

function row(strategy: StrategyName, classes: ClassName[], plain: Expected, withPause: Expected): Row[] {
  return classes.flatMap((name): Row[] => [
    [strategy, name, '{}', plain],
    [strategy, name, '{"paused":true}', withPause],
  ])
}

const IDLE: ClassName[] = ['none', ...UNKNOWN]
const OFF: StrategyName[] = ['running: false', 'neither field']
const FIXED: StrategyName[] = ['Always', 'running: true', 'Once', 'WaitAsReceiver']

test.each<Row>([
  ...row('Halted', [...IDLE, 'Succeeded', 'Failed'], { runStrategy: 'Always' }, [paused]),
  ...OFF.flatMap((name) => row(name, [...IDLE, 'Succeeded', 'Failed'], { running: true }, [paused])),
  ...row('Manual', IDLE, [begin], [paused]),
  ...row('Manual', ['Succeeded', 'Failed'], [end, begin], [end, paused]),
  ...row('RerunOnFailure', IDLE, [begin], [paused]),
  ...row('RerunOnFailure', ['Succeeded'], [end, begin], [end, paused]),
  ...row('RerunOnFailure', ['Failed'], 409, 409),
  ...FIXED.flatMap((name) => row(name, [...IDLE, 'Succeeded', 'Failed'], 409, 409)),
  ...(Object.keys(STRATEGIES) as StrategyName[]).flatMap((name) => row(name, ACTIVE, 409, 409)),
])('start: %s, VMI %s, body %s', async (strategy, vmi, body, expected) => {
  const { app, find, patches } = apiOf({ vm: vmOf(STRATEGIES[strategy], {}), vmi: VMIS_BY_CLASS[vmi] })
  const response = await put(app, START, body)
  const after = find(VMS, 'ns1', 'vm1')
  expect({
    code: response.statusCode,
    spec: after?.spec,
    requests: after?.status?.stateChangeRequests,
    patches: patches.length,
  }).toEqual(outcome(strategy, expected))
})

function outcome(strategy: StrategyName, expected: Expected) {
  const { spec } = vmOf(STRATEGIES[strategy])
  if (expected === 409) return { code: 409, spec, requests: undefined, patches: 0 }
  if (Array.isArray(expected)) return { code: 202, spec, requests: expected, patches: 1 }
  return { code: 202, spec: { ...spec, ...expected }, requests: undefined, patches: 1 }
}

test('success has no body and no type', async () => {
  const { app } = apiOf({ vm: vmOf() })
  const { statusCode, headers, body } = await put(app, START)
  expect({ statusCode, body, type: headers['content-type'], length: headers['content-length'] }).toEqual({
    statusCode: 202,
    body: '',
    type: undefined,
    length: '0',
  })
})

test('a VM that is not there is 404, named in the singular', async () => {
  const { app } = apiOf({})
  const response = await put(app, START)
  expect(response.json()).toEqual({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'virtualmachine.kubevirt.io "vm1" not found',
    reason: 'NotFound',
    details: { name: 'vm1', group: 'kubevirt.io', kind: 'virtualmachine' },
    code: 404,
  })
  expect(response.headers['content-type']).toBe('application/json')
})

test.each(['ManualRecoveryRequired', 'VolumesChange'])(
  'a VM with condition %s is not started',
  async (type) => {
    const conditionOf = (status: 'True' | 'False') => vmOf({}, { conditions: [{ type, status }] })
    expect((await put(apiOf({ vm: conditionOf('True') }).app, START)).statusCode).toBe(409)
    expect((await put(apiOf({ vm: conditionOf('False') }).app, START)).statusCode).toBe(202)
  },
)

test('what the state of the VM forbids is said before what is wrong with the body', async () => {
  expect((await put(apiOf({ vm: vmOf(), vmi: vmiOf() }).app, START, '[')).statusCode).toBe(409)
  expect((await put(apiOf({ vm: vmOf() }).app, START, '[')).statusCode).toBe(400)
})

test('both ways of saying what keeps it running are one too many', async () => {
  const { app } = apiOf({ vm: vmOf({ running: false, runStrategy: 'Halted' }) })
  expect((await put(app, START)).statusCode).toBe(409)
})

test('a VMI of that name that is not its own stands in the way', async () => {
  const stranger = vmiOf('Succeeded')
  stranger.metadata.ownerReferences = []
  const { app } = apiOf({ vm: vmOf({ runStrategy: 'Manual' }), vmi: stranger })
  const response = await put(app, START)
  expect(response.json()).toMatchObject({
    code: 409,
    reason: 'Conflict',
    details: { kind: 'virtualmachine' },
  })
})

test('a start waits for the request before it', async () => {
  const pending = [{ action: 'Stop' as const, uid: 'old' }]
  const { app, patches } = apiOf({ vm: vmOf({ runStrategy: 'Manual' }, { stateChangeRequests: pending }) })
  expect((await put(app, START)).json()).toMatchObject({ code: 409, reason: 'Conflict' })
  expect(patches).toEqual([])
})

test('a request on a VM without any status makes it one', async () => {
  const { app, find } = apiOf({ vm: vmOf({ runStrategy: 'Manual' }) })
  expect((await put(app, START)).statusCode).toBe(202)
  expect(find(VMS, 'ns1', 'vm1')?.status).toEqual({ stateChangeRequests: [begin] })
})

test('a request ends the back-off after failures', async () => {
  const startFailure = { consecutiveFailCount: 3 }
  const { app, find, patches } = apiOf({ vm: vmOf({ runStrategy: 'Manual' }, { startFailure }) })
  expect((await put(app, START)).statusCode).toBe(202)
  expect(find(VMS, 'ns1', 'vm1')?.status).toEqual({ stateChangeRequests: [begin] })
  expect(patches).toMatchObject([{ subresource: 'status' }])
})

test.each([
  ['in the body', START, '{"dryRun":["All"]}'],
  ['in the query', `${START}?dryRun=All`, undefined],
])('a dry run %s checks everything and changes nothing', async (_where, path, body) => {
  const { app, find, patches } = apiOf({ vm: vmOf({ runStrategy: 'Halted' }) })
  expect((await put(app, path, body)).statusCode).toBe(202)
  expect(patches).toMatchObject([{ dryRun: true }])
  expect(find(VMS, 'ns1', 'vm1')?.spec.runStrategy).toBe('Halted')
  const refused = apiOf({ vm: vmOf({ runStrategy: 'Always' }) })
  expect((await put(refused.app, path, body)).statusCode).toBe(409)
})

test.each([
  [START, '{"dryRun":["Some"]}'],
  [START, '{"dryRun":["All",""]}'],
  [`${START}?dryRun=true`, undefined],
  [`${START}?dryRun=`, undefined],
])('a dry run that is none is refused: %s %s', async (path, body) => {
  const { app, patches } = apiOf({ vm: vmOf() })
  const response = await put(app, path, body)
  expect(response.json()).toMatchObject({
    code: 422,
    reason: 'Invalid',
    details: { causes: [{ field: 'dryRun' }] },
  })
  expect(patches).toEqual([])
})

test('a change in between is seen, and the decision made anew', async () => {
  const api = apiOf({ vm: vmOf({ runStrategy: 'Manual' }, {}) })
  let times = 0
  api.interfere(() => {
    times += 1
    if (times <= 2) api.put(VMS, vmOf({ runStrategy: 'Halted' }, {}))
  })
  expect((await put(api.app, START)).statusCode).toBe(202)
  expect(times).toBe(3)
  expect(api.find(VMS, 'ns1', 'vm1')?.spec.runStrategy).toBe('Always')
})

test('a race that is lost again and again is told', async () => {
  const api = apiOf({ vm: vmOf({}, {}) })
  api.interfere(() => api.put(VMS, vmOf({}, {})))
  const { statusCode } = await put(api.app, START)
  expect(statusCode).toBeGreaterThanOrEqual(409)
  expect(statusCode).toBeLessThan(500)
  expect(api.patches).toHaveLength(5)
})

test('a refusal of the store is passed on as it is', async () => {
  const { StatusError } = await import('../../src/lib/errors.ts')
  const api = apiOf({ vm: vmOf() })
  api.interfere(() => {
    throw new StatusError(403, 'Forbidden', 'a snapshot is in progress')
  })
  expect((await put(api.app, START)).json()).toMatchObject({
    code: 403,
    message: 'a snapshot is in progress',
  })
})
