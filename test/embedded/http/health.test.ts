import { expect, test } from 'vitest'
import type { HealthCheck } from '../../../src/embedded/http/health.ts'
import { openKubeApi } from '../../helpers/kube-api.ts'

const fine: HealthCheck = { name: 'database', isVital: true, run: async () => {} }
const broken: HealthCheck = {
  name: 'worker',
  isVital: false,
  run: () => Promise.reject(new Error('secret reason')),
}

test('a server that works says ok, and more where asked', async () => {
  await using api = await openKubeApi({ parts: { checks: [fine] } })
  expect(await api.ask('GET', '/readyz')).toMatchObject({ code: 200, text: 'ok' })
  expect((await api.ask('GET', '/readyz?verbose')).text).toBe(
    '[+]ping ok\n[+]database ok\nreadyz check passed\n',
  )
  expect(await api.ask('GET', '/livez/database')).toMatchObject({ code: 200, text: 'ok' })
})

test('a part that fails is named, without the reason', async () => {
  await using api = await openKubeApi({ parts: { checks: [fine, broken] } })
  const answer = await api.ask('GET', '/readyz')
  expect(answer).toMatchObject({ code: 500 })
  expect(answer.text).toContain('[-]worker failed: reason withheld')
  expect(answer.text).not.toContain('secret')
  expect(await api.ask('GET', '/readyz?exclude=worker')).toMatchObject({ code: 200 })
  expect(await api.ask('GET', '/healthz/worker')).toMatchObject({ code: 500 })
})

test('a server is not restarted for what is not vital', async () => {
  await using api = await openKubeApi({ parts: { checks: [fine, broken] } })
  expect(await api.ask('GET', '/livez')).toMatchObject({ code: 200 })
  expect(await api.ask('GET', '/livez/worker')).toMatchObject({ code: 404 })
})
