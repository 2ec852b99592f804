import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { buildWebhookServer } from '../../src/http/webhook-server.ts'
import { makeAuthority, servingPair } from '../helpers/pki.ts'
import { recordedParts } from '../helpers/vectors.ts'
import { silentLog } from '../helpers/worker.ts'

/** Asks on many connections, again and again, until each has closed; says how many requests got no answer, and how many did. */
const CLIENT = `
const { connect } = require('node:tls')
const { once } = require('node:events')
const { parentPort, workerData: { port, ca } } = require('node:worker_threads')

const body = JSON.stringify({ request: { uid: 'u1' } })
const request = 'POST /plugin-validate HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: application/json\\r\\n' +
  'Content-Length: ' + body.length + '\\r\\n\\r\\n' + body
const counts = { answered: 0, lost: 0, refused: 0 }

async function ask() {
  const socket = connect({ host: '127.0.0.1', port, ca, ALPNProtocols: ['http/1.1'] }).setEncoding('latin1')
  socket.on('error', () => {})
  await once(socket, 'secureConnect')
  let isWaiting = false
  const send = () => {
    isWaiting = true
    socket.write(request)
  }
  socket.on('data', (answer) => {
    isWaiting = false
    counts[answer.startsWith('HTTP/1.1 200 ') ? 'answered' : 'refused'] += 1
    // As clients do: the connection is not used again.
    if (/connection: close/i.test(answer)) socket.end()
    else send()
  })
  send()
  await new Promise((resolve) => socket.once('close', resolve))
  if (isWaiting) counts.lost += 1
}

Promise.all(Array.from({ length: 20 }, ask)).then(() => parentPort.postMessage(counts))
setTimeout(() => parentPort.postMessage('busy'), 500)
`

test('a server that closes while it is asked on all sides leaves nobody without an answer', async () => {
  const authority = await makeAuthority()
  const app = buildWebhookServer({
    admission: recordedParts('default'),
    needs: [],
    checks: [],
    log: silentLog,
    tls: await servingPair(authority),
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  // A thread of its own asks while this one closes.
  const client = new Worker(CLIENT, {
    eval: true,
    workerData: { port: Number(new URL(url).port), ca: authority.cert },
  })
  onTestFinished(async () => void (await client.terminate()))
  await once(client, 'message')
  const said = once(client, 'message')
  await app.close()
  const [counts] = await said
  expect(counts).toMatchObject({ lost: 0, refused: 0 })
  expect(counts.answered).toBeGreaterThan(20)
})
