/** `/metrics` of `virtgate apiserver` and of embedded mode, over real TLS. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { KeyPair } from '../../certs/issue.ts'
import { Agent, request } from 'undici'
import { parseExposition, valueOf } from '../helpers/exposition.ts'
import { openFrontDoor, type FrontDoor } from '../helpers/front-door.ts'
import { FAMILIES } from '../../src/metrics/families/index.ts'

const SCRAPER = { 'x-remote-user': 'prometheus', 'x-remote-group': 'scrapers' }
const DAY = 24 * 60 * 60

let door: FrontDoor

beforeAll(async () => {
  door = await openFrontDoor()
  const rbac = '/apis/rbac.authorization.k8s.io/v1'
  await door.objects.client.call({
    method: 'POST',
    path: `${rbac}/clusterrolebindings`,
    body: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'scrapers' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'kubevirt.io:metrics' },
      subjects: [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'scrapers' }],
    },
  })
})
afterAll(() => door[Symbol.asyncDispose]())

async function read(url: string, connect: object, headers: Record<string, string>) {
  const dispatcher = new Agent({ connect })
  try {
    const { statusCode, body } = await request(`${url}/metrics`, { dispatcher, headers })
    return { code: statusCode, body: await body.text() }
  } finally {
    await dispatcher.destroy()
  }
}

const scrape = (headers: Record<string, string> = SCRAPER, pair: Partial<KeyPair> = door.proxy) =>
  read(`https://127.0.0.1:${door.port}`, { ca: door.people.cert, ...pair }, headers)

test('whoever has the role for it reads the metrics of the API server', async () => {
  const { code, body } = await scrape()
  expect(code).toBe(200)
  const families = parseExposition(body)
  for (const [name, { type }] of families) expect(FAMILIES).toHaveProperty([name, 'type'], type)
  expect(valueOf(body, 'kubevirt_virt_api_ready_status')).toBe(1)
  expect(valueOf(body, 'process_resident_memory_bytes')).toBeGreaterThan(10_000_000)
})

test('until when its certificates are good is told', async () => {
  const { body } = await scrape()
  const name = 'virtgate_certificate_not_after_timestamp_seconds'
  const inDays = (certificate: string) =>
    ((valueOf(body, name, { certificate }) ?? 0) - Date.now() / 1000) / DAY
  expect(inDays('worker-client')).toBeGreaterThan(364)
  expect(inDays('worker-client')).toBeLessThan(366)
  expect(inDays('serving')).toBeGreaterThan(0)
})

test.each([
  ['without an identity', {}, 401],
  ['with an identity that lacks the role', { 'x-remote-user': 'jane', 'x-remote-group': 'people' }, 403],
])('nobody reads them %s', async (_who, headers, code) => {
  expect((await scrape(headers)).code).toBe(code)
})

test('identity headers without the certificate of kube-apiserver are worth nothing', async () => {
  expect((await scrape(SCRAPER, {})).code).toBe(401)
})

test('an administrator reads those of embedded mode, a service account without the role does not', async () => {
  const { objects } = door
  const { ca, admin } = objects.certificates.current()
  const ask = (pair: Partial<KeyPair>, token?: string) =>
    read(objects.url, { ca, ...pair }, token === undefined ? {} : { authorization: `Bearer ${token}` })
  const { code, body } = await ask(admin)
  expect(code).toBe(200)
  expect(valueOf(body, 'kubevirt_virt_api_ready_status')).toBe(1)
  expect((await ask({})).code).toBe(401)
  expect((await ask({}, await objects.tokenOf('kubevirt', 'kubevirt-handler'))).code).toBe(403)
})
