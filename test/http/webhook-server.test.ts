import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { defaultConfig } from '../../src/admission/config.ts'
import { WEBHOOKS } from '../../src/admission/webhooks/paths.ts'
import { buildWebhookServer, type WebhookServerOptions } from '../../src/http/webhook-server.ts'
import { mayUseAll } from '../../src/kinds/foreign-use.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { byToken, memoryLog } from '../helpers/api.ts'
import { memoryStore } from '../helpers/memory-store.ts'

function serve(options: Partial<WebhookServerOptions> = {}) {
  return buildWebhookServer({
    admission: {
      config: () => defaultConfig('amd64'),
      reader: memoryStore().store,
      foreignUses: () => mayUseAll,
      clock: systemClock,
      newUid: randomUUID,
    },
    needs: [],
    checks: [],
    log: memoryLog(),
    ...options,
  })
}

const post = (app: ReturnType<typeof serve>, url: string, headers: Record<string, string> = {}) =>
  app.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json', ...headers },
    payload: JSON.stringify({ request: { uid: 'u1' } }),
  })

test('every webhook is served, and nothing but its own path', async () => {
  const app = serve()
  for (const { path } of WEBHOOKS) {
    const answer = await post(app, `${path}?timeout=10s`)
    expect(answer.statusCode).toBe(200)
    expect(answer.json()).toMatchObject({ kind: 'AdmissionReview', response: { uid: 'u1' } })
  }
  for (const path of ['/nothing', '/plugin-validate/', '//plugin-validate', '/PLUGIN-VALIDATE']) {
    const answer = await post(app, path)
    expect(answer.statusCode).toBe(404)
    expect(answer.headers).not.toHaveProperty('location')
  }
})

test('until what it needs is there, a review is 503 with the reason, and the server is not ready', async () => {
  let missing: string | undefined = 'the KubeVirt objects have not been read yet'
  const app = serve({ needs: [{ name: 'admission', missing: async () => missing }] })
  const early = await post(app, '/plugin-validate')
  expect(early.json()).toMatchObject({ kind: 'Status', code: 503, message: missing })
  expect((await app.inject('/readyz')).body).toContain(`[-]admission failed: ${missing}`)
  missing = undefined
  expect((await post(app, '/plugin-validate')).statusCode).toBe(200)
  expect((await app.inject('/readyz')).statusCode).toBe(200)
})

test('D1: where callers have to show who they are, nobody else gets a review, and probes need nothing', async () => {
  const app = serve({ callers: byToken })
  const refused = await post(app, '/plugin-validate')
  expect(refused.json()).toMatchObject({ kind: 'Status', code: 401, reason: 'Unauthorized' })
  expect((await post(app, '/plugin-validate', { authorization: 'Bearer alice' })).statusCode).toBe(200)
  expect((await app.inject('/livez')).statusCode).toBe(200)
})
