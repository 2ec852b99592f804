/** `freeze` and `unfreeze` (contract 3.7 and 5.3). */
import { expect, test } from 'vitest'
import { StatusError } from '../../src/lib/errors.ts'
import type { FreezeOptions } from '../../src/rpc/actions.ts'
import { apiOf, put, vmiOf } from '../helpers/api.ts'

const FREEZE = '/virtualmachineinstances/vm1/freeze'
const UNFREEZE = '/virtualmachineinstances/vm1/unfreeze'

function recording() {
  const seen: (number | string)[] = []
  const node = {
    freeze: async (_guest: unknown, { unfreezeSeconds }: FreezeOptions) => void seen.push(unfreezeSeconds),
    unfreeze: async () => void seen.push('thaw'),
  }
  return { seen, node }
}

test.each([
  ['30s', 30],
  ['5m0s', 300],
  ['1h', 3600],
  ['0s', 0],
  ['0', 0],
  ['1ms', 1],
  ['1.2s', 2],
])('a timeout of %s is %d seconds: what is shorter than a second is not never', async (text, seconds) => {
  const { seen, node } = recording()
  const { app } = apiOf({ vmi: vmiOf(), node })
  const response = await put(app, FREEZE, JSON.stringify({ unfreezeTimeout: text }))
  expect([response.statusCode, response.body]).toEqual([200, ''])
  expect(seen).toEqual([seconds])
})

test.each([
  ['missing', undefined],
  ['missing in an object', '{}'],
  ['null', '{"unfreezeTimeout":null}'],
  ['a number', '{"unfreezeTimeout":30}'],
  ['without a unit', '{"unfreezeTimeout":"30"}'],
  ['empty', '{"unfreezeTimeout":""}'],
  ['negative', '{"unfreezeTimeout":"-1s"}'],
  ['beyond what Go can hold', '{"unfreezeTimeout":"9999999h"}'],
  ['no duration', '{"unfreezeTimeout":"soon"}'],
])('a timeout that is %s is 400', async (_what, body) => {
  const { seen, node } = recording()
  const { app } = apiOf({ vmi: vmiOf(), node })
  expect((await put(app, FREEZE, body)).json()).toMatchObject({
    kind: 'Status',
    code: 400,
    reason: 'BadRequest',
  })
  expect(seen).toEqual([])
})

test.each([
  ['absent', undefined, 404],
  ['scheduled', vmiOf('Scheduled'), 409],
  ['over', vmiOf('Failed'), 409],
])('a guest that is %s is neither frozen nor thawed', async (_state, vmi, code) => {
  const { seen, node } = recording()
  const { app } = apiOf({ vmi, node })
  expect((await put(app, FREEZE, '{"unfreezeTimeout":"1s"}')).statusCode).toBe(code)
  expect((await put(app, UNFREEZE)).statusCode).toBe(code)
  expect(seen).toEqual([])
})

test('thawing ignores its body', async () => {
  const { seen, node } = recording()
  const { app } = apiOf({ vmi: vmiOf(), node })
  expect((await put(app, UNFREEZE, '[not even YAML')).statusCode).toBe(200)
  expect(seen).toEqual(['thaw'])
})

test('a dry run finds what is wrong, and asks nothing of the node', async () => {
  const { seen, node } = recording()
  const { app } = apiOf({ vmi: vmiOf(), node })
  expect((await put(app, `${FREEZE}?dryRun=All`, '{"unfreezeTimeout":"1s"}')).statusCode).toBe(200)
  expect((await put(app, `${FREEZE}?dryRun=All`)).statusCode).toBe(400)
  expect((await put(app, `${UNFREEZE}?dryRun=All`)).statusCode).toBe(200)
  expect(seen).toEqual([])
})

test.each([409, 503, 504])('that the node answers %d is passed on, with its words', async (code) => {
  const fail = () => Promise.reject(new StatusError(code, 'X', 'the guest agent says: no'))
  const { app } = apiOf({ vmi: vmiOf(), node: { freeze: fail, unfreeze: fail } })
  for (const path of [FREEZE, UNFREEZE]) {
    const body = (await put(app, path, '{"unfreezeTimeout":"1s"}')).json()
    expect(body).toMatchObject({ code })
    expect(body.message).toContain('the guest agent says: no')
  }
})
