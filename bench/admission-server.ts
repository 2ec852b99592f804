/** The server of admission.ts, a process of its own: webhooks over TLS, as they are served beside an API server. */
import Fastify, { type FastifyInstance } from 'fastify'
import { registerWebhooks } from '../src/http/webhook-routes.ts'
import { systemClock } from '../src/lib/clock.ts'
import { watchAdmission } from '../src/metrics/admission.ts'
import { openMetrics } from '../src/metrics/exposition.ts'
import { serverOptions } from '../src/http/tls.ts'
import { makeAuthority, servingPair } from '../test/helpers/pki.ts'
import { recordedParts } from '../test/helpers/vectors.ts'
import { BARE_PATH } from './admission-bare.ts'

const silent = { debug() {}, info() {}, warn() {}, error: console.error }
const authority = await makeAuthority()
const { cert, key } = await servingPair(authority)
// The options are those of every server of ours, which are written without Fastify's types.
const app = Fastify(serverOptions({ cert, key }, silent)) as unknown as FastifyInstance
// What a server of the same kind needs to read a review and to answer that it is allowed.
app.post(BARE_PATH, (request) => {
  // The load sends nothing else.
  const { request: review } = request.body as { request: { uid: string } }
  return { kind: 'AdmissionReview', response: { uid: review.uid, allowed: true } }
})
// An API server counts its reviews.
const watch = watchAdmission(openMetrics({ clock: systemClock, log: silent }))
registerWebhooks(app, { admission: recordedParts('default'), log: silent, watch })
const origin = await app.listen({ host: '127.0.0.1', port: 0 })
process.send?.({ port: Number(new URL(origin).port), ca: authority.cert })
process.on('message', () => process.send?.({ usage: process.cpuUsage() }))
process.on('disconnect', () => process.exit())
