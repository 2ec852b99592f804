import { once } from 'node:events'
import { request } from 'node:https'
import { expect, test } from 'vitest'
import { openObjectServer } from '../helpers/object-server.ts'

const LEASES = '/apis/coordination.k8s.io/v1/leases?watch=true&timeoutSeconds=1'

test('Node takes none of those who look for the end of an answer for a leak', async () => {
  const warnings: Error[] = []
  const note = (warning: Error): void => void warnings.push(warning)
  process.on('warning', note)
  try {
    await using objects = await openObjectServer()
    const asked = request(new URL(LEASES, objects.url), objects.client.config.tls).end()
    const [answer] = await once(asked, 'response')
    expect(answer.statusCode).toBe(200)
    await once(answer.resume(), 'end')
  } finally {
    process.off('warning', note)
  }
  expect(warnings).toEqual([])
})
