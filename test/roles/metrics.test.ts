/** `/metrics` of `virtgate apiserver` and of embedded mode, over real TLS. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KeyPair } from '../../certs/issue.ts'
import { Agent, request } from 'undici'
import { ELECTION_TIMES } from '../../src/lib/leadership.ts'
import { openControllerRole } from '../../src/roles/controller.ts'
import { eventually } from '../helpers/server.ts'
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

test('what requests and reviews of access came to is told', async () => {
  await scrape({ 'x-remote-user': 'jane' })
  await scrape()
  const { body } = await scrape()
  const route = { route: '/metrics', verb: 'get' }
  expect(valueOf(body, 'virtgate_request_duration_seconds_count', { ...route, code: '403' })).toBe(1)
  const review = { review: 'SubjectAccessReview' }
  const lookups = (result: string) =>
    valueOf(body, 'virtgate_access_review_lookups_total', { ...review, result }) ?? 0
  expect(lookups('hit')).toBeGreaterThan(0)
  const answered = { ...review, result: 'answered' }
  expect(valueOf(body, 'virtgate_access_review_duration_seconds_count', answered)).toBe(lookups('miss'))
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

test('VMs that are admitted for creation are counted; refused ones and dry runs are not', async () => {
  const review = async (spec: object, more: object = {}) => {
    const object = {
      apiVersion: 'kubevirt.io/v1',
      kind: 'VirtualMachine',
      metadata: { namespace: 'default', name: 'a' },
      spec,
    }
    const resource = { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachines' }
    const common = { uid: '1', operation: 'CREATE', namespace: 'default', name: 'a', resource }
    const body = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' }
    const webhooks = await door.connect({}, door.webhookPort)
    const { body: answer } = await webhooks.send('POST', '/virtualmachines-validate', {
      ...body,
      request: { ...common, object, ...more },
    })
    return (JSON.parse(answer) as { response: { allowed: boolean } }).response.allowed
  }
  const good = { runStrategy: 'Halted', template: { spec: { domain: { devices: {} } } } }
  expect(await review(good)).toBe(true)
  expect(await review(good, { dryRun: true })).toBe(true)
  expect(await review({ runStrategy: 'Halted' })).toBe(false)
  const { body } = await scrape()
  expect(valueOf(body, 'kubevirt_vm_created_by_pod_total', { namespace: 'default' })).toBe(1)
  const judged = { resource: 'virtualmachines', type: 'validating' }
  const judgements = ['true', 'false'].map((allowed) =>
    valueOf(body, 'virtgate_admission_duration_seconds_count', { ...judged, allowed }),
  )
  expect(judgements).toEqual([2, 1])
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

describe('a controller', () => {
  const stack = new AsyncDisposableStack()
  let url: string
  const GAUGES = ['kubevirt_virt_controller_leading_status', 'kubevirt_virt_controller_ready_status']

  beforeAll(async () => {
    const { objects } = door
    const { client } = objects
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'prometheus' } }
    await client.call({ method: 'POST', path: '/api/v1/namespaces/default/serviceaccounts', body: account })
    await client.call({
      method: 'PATCH',
      path: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/scrapers',
      contentType: 'application/merge-patch+json',
      body: { subjects: [{ kind: 'ServiceAccount', namespace: 'default', name: 'prometheus' }] },
    })
    const stop = new AbortController()
    stack.defer(() => stop.abort())
    const { cert, key, ca } = objects.certificates.files('controller')
    const controller = stack.use(
      await openControllerRole({
        kubeconfig: await objects.kubeconfigOf('kubevirt', 'kubevirt-controller'),
        ownNodes: false,
        failoverAfterMs: undefined,
        election: ELECTION_TIMES,
        installNamespace: 'kubevirt',
        // Nobody listens there.
        node: ['node01=127.0.0.1:9'],
        tls: { cert, key, ca },
        metricsListen: '127.0.0.1:0',
        metricsTls: { ...door.serving, ca: door.serving.cert },
        log: door.log,
        signal: stop.signal,
      }),
    )
    url = controller.metricsUrl ?? ''
  })
  afterAll(() => stack.disposeAsync())

  const ask = (token?: string, path = '') =>
    read(
      `${url}${path}`,
      { ca: door.people.cert },
      token === undefined ? {} : { authorization: `Bearer ${token}` },
    )

  test('tells of its lead and of the objects, to the token of somebody who may read', async () => {
    const token = await door.objects.tokenOf('default', 'prometheus')
    const body = await eventually('it leads', 20_000, async () => {
      const answer = await ask(token)
      expect(answer.code).toBe(200)
      return answer.body.includes('kubevirt_vmi_migrations_in_pending_phase 0') && answer.body
    })
    expect(GAUGES.map((name) => valueOf(body, name))).toEqual([1, 1])
    const families = parseExposition(body)
    for (const [name, { type }] of families) expect(FAMILIES).toHaveProperty([name, 'type'], type)
    expect(valueOf(body, 'kubevirt_workqueue_depth', { name: 'virt-controller-vmi' })).toBe(0)
    expect(families.get('kubevirt_rest_client_requests_total')?.samples.length).toBeGreaterThan(3)
    const ends = families.get('virtgate_certificate_not_after_timestamp_seconds')?.samples ?? []
    expect(ends.map(({ labels }) => labels['certificate'])).toEqual([
      'worker-client',
      'internal-ca',
      'metrics',
    ])
  })

  test.each([
    ['nobody', async () => undefined, 401],
    ['a made-up token', async () => 'nonsense', 401],
    ['an account without the role', () => door.objects.tokenOf('kubevirt', 'kubevirt-handler'), 403],
  ])('tells %s nothing, whatever is asked for', async (_who, tokenOf, code) => {
    const token = await tokenOf()
    expect((await ask(token)).code).toBe(code)
    expect((await ask(token, '/else')).code).toBe(code)
  })
})
