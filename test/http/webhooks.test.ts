import Fastify from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WEBHOOKS } from '../../src/admission/webhooks/paths.ts'
import { registerWebhooks } from '../../src/http/webhook-routes.ts'
import { memoryLog } from '../helpers/api.ts'
import { readTargets, recordedParts, reviewOf } from '../helpers/vectors.ts'

const app = Fastify()
const log = memoryLog()
const parts = recordedParts('default')
let isBroken = false

beforeAll(async () => {
  const config = () => {
    if (isBroken) throw new Error('the configuration cannot be read')
    return parts.config()
  }
  registerWebhooks(app, { admission: { ...parts, config }, log })
  await app.ready()
})
afterAll(() => app.close())

const [target] = Object.values(readTargets())
if (!target) throw new Error('there are targets')
const body = JSON.stringify(reviewOf(target, target.object))
const post = (payload: string, contentType = 'application/json', url = target.path) =>
  app.inject({ method: 'POST', url, payload, headers: { 'content-type': contentType } })

describe('a webhook over HTTP', () => {
  test.each(WEBHOOKS.map(({ path }) => path))('is served at %s', async (path) => {
    const { statusCode, headers } = await post(body, 'application/json', path)
    expect(statusCode).toBe(200)
    expect(headers['content-type']).toMatch(/^application\/json/)
  })

  test('answers with the review’s own uid', async () => {
    const answer = (await post(body)).json<{ kind: string; apiVersion: string; response: object }>()
    expect(answer).toMatchObject({
      kind: 'AdmissionReview',
      apiVersion: 'admission.k8s.io/v1',
      response: { uid: '705ab4f5-6393-11e8-b7cc-42010a800002', allowed: true },
    })
  })

  test('takes no notice of a time limit in the query', async () => {
    expect((await post(body, 'application/json', `${target.path}?timeout=10s`)).statusCode).toBe(200)
  })

  // Contract: ADM-HTTP-001, ADM-HTTP-002.
  test.each([
    ['another media type', body, 'text/plain'],
    ['a media type with a character set', body, 'application/json; charset=utf-8'],
    ['no JSON', '{"request"', 'application/json'],
    ['no request', '{}', 'application/json'],
  ])('D8: refuses %s with 400 and nothing else', async (_what, payload, contentType) => {
    const { statusCode, payload: answer } = await post(payload, contentType)
    expect([statusCode, answer]).toEqual([400, ''])
  })

  test('D8: refuses a body that is too large', async () => {
    expect((await post(`{"a":"${'x'.repeat(9 * 1024 * 1024)}"}`)).statusCode).toBe(413)
  })

  test('says no, and why in the log alone, when something is wrong in here', async () => {
    isBroken = true
    try {
      const answer = await post(body)
      expect(answer.json()).toMatchObject({ response: { allowed: false, status: { code: 500 } } })
      expect(answer.payload).not.toContain('cannot be read')
      expect(log.lines.at(-1)).toMatchObject({ level: 'error' })
    } finally {
      isBroken = false
    }
  })
})
