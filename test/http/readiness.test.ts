import { expect, test } from 'vitest'
import { registerReadiness, type ReadinessCheck } from '../../src/http/readiness.ts'
import { apiOf, memoryLog } from '../helpers/api.ts'

const good: ReadinessCheck = { name: 'good', missing: async () => undefined }
const bad: ReadinessCheck = { name: 'bad', missing: async () => 'it is gone; put it back' }
const broken: ReadinessCheck = { name: 'broken', missing: () => Promise.reject(new Error('secret')) }

async function ask(checks: ReadinessCheck[], url: string) {
  const log = memoryLog()
  const { app } = apiOf({})
  registerReadiness(app, checks, log)
  const { statusCode, body } = await app.inject({ url })
  return { code: statusCode, body, log }
}

test('a server that lacks nothing is ready, and lists its checks where it is asked to', async () => {
  expect(await ask([good], '/readyz')).toMatchObject({ code: 200, body: 'ok' })
  const { code, body } = await ask([good], '/readyz?verbose')
  expect([code, body]).toEqual([200, '[+]good ok\nreadyz check passed\n'])
})

test('a server that lacks something says what, and is alive', async () => {
  const { code, body } = await ask([good, bad], '/readyz')
  expect([code, body]).toEqual([
    500,
    '[+]good ok\n[-]bad failed: it is gone; put it back\nreadyz check failed\n',
  ])
  expect(await ask([bad], '/livez')).toMatchObject({ code: 200, body: 'ok' })
})

test('what cannot be found out is not ready; the reason is for the log alone', async () => {
  const { code, body, log } = await ask([broken], '/readyz')
  expect(code).toBe(500)
  expect(body).toContain('[-]broken failed: it cannot be found out; see the log')
  expect(log.lines).toMatchObject([{ level: 'warn', fields: { err: new Error('secret'), check: 'broken' } }])
})
