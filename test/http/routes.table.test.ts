/** What holds for every route of a subresource: made of the list, so that a new one cannot be forgotten. */
import { existsSync, readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import type { Attributes, User } from '../../src/auth/access.ts'
import { pathsOf, resourceNameOf } from '../../src/http/subresource-path.ts'
import { NODES } from '../../src/kinds/table.ts'
import { isSameJson } from '../../src/lib/json.ts'
import type { Actions } from '../../src/rpc/actions.ts'
import { subresources } from '../../src/subresources/index.ts'
import type { Subresource } from '../../src/subresources/subresource.ts'
import { ALICE, apiOf, vmiOf, vmOf, type TestApi } from '../helpers/api.ts'
import { ROUTE_CASES } from './route-cases.ts'

const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS'] as const

interface Route {
  url: string
  version: string
  subresource: Subresource
}

const routes: [title: string, route: Route][] = ['v1', 'v1alpha3'].flatMap((version) =>
  subresources.flatMap((subresource) =>
    pathsOf(version, subresource).map((path): [string, Route] => [
      `${subresource.method} ${path.replace('/apis/subresources.kubevirt.io/', '')}`,
      { url: fill(path), version, subresource },
    ]),
  ),
)

function fill(path: string): string {
  const parts: Record<string, string> = { namespace: 'ns1', name: 'vm1', port: '22', protocol: 'tcp' }
  return path.replaceAll(/:(\w+)/g, (_part, name: string) => parts[name] ?? 'x')
}

const open: TestApi[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map(({ app }) => app.close()))
})

function serve(...[given = {}, options = {}]: Partial<Parameters<typeof apiOf>>): TestApi {
  const api = apiOf(given, options)
  open.push(api)
  return api
}

function grants(wanted: Attributes) {
  return {
    review: async (_user: User, asked: Attributes) => ({ allowed: isSameJson(asked, wanted), reason: '' }),
  }
}

/** What exactly suffices for a route. */
function attributesFor({ version, subresource: { resource, name, verb } }: Route): Attributes {
  const head = {
    kind: 'resource',
    verb,
    group: 'subresources.kubevirt.io',
    version,
    namespace: 'ns1',
  } as const
  return resource
    ? { ...head, resource: resource.plural, subresource: name, name: 'vm1' }
    : { ...head, resource: name }
}

/** What looks as if it might suffice: the parent, and each shorter form of the subresource. */
function nearMisses(route: Route): Attributes[] {
  const exact = attributesFor(route)
  if (exact.kind !== 'resource') return []
  const { subresource: _subresource, ...parent } = exact
  const shorter = (exact.subresource ?? '').split('/').slice(0, -1).join('/')
  const otherVerb = exact.verb === 'get' ? 'update' : 'get'
  return [
    { ...exact, verb: otherVerb },
    { ...exact, namespace: 'ns2' },
    { ...exact, group: 'kubevirt.io' },
    ...(exact.subresource === undefined ? [] : [parent]),
    ...(shorter === '' ? [] : [{ ...exact, subresource: shorter }]),
  ]
}

describe.each(routes)('%s', (_title, route) => {
  const { url, subresource } = route
  const { method } = subresource

  test('nobody who is not known gets through, with a Status', async () => {
    const { app, reviews } = serve({ vm: vmOf(), vmi: vmiOf() })
    for (const headers of [{}, { authorization: 'Bearer bad' }]) {
      const response = await app.inject({ method, url, headers })
      expect(response.statusCode).toBe(401)
      expect(response.json()).toMatchObject({ kind: 'Status', reason: 'Unauthorized', code: 401 })
    }
    expect(reviews).toEqual([])
  })

  test('B1: the right to anything near it does not suffice', async () => {
    for (const right of nearMisses(route)) {
      const { app, patches } = serve({ vm: vmOf(), vmi: vmiOf() }, { authorizer: grants(right) })
      const response = await app.inject({ method, url, headers: ALICE })
      expect([right, response.statusCode]).toEqual([right, 403])
      expect(response.json()).toMatchObject({ kind: 'Status', reason: 'Forbidden', code: 403 })
      expect(patches).toEqual([])
    }
  })

  test('B1: the right to exactly it suffices', async () => {
    const { app } = serve({}, { authorizer: grants(attributesFor(route)) })
    const response = await app.inject({ method, url, headers: ALICE })
    expect([401, 403]).not.toContain(response.statusCode)
    expect(response.statusCode).toBeLessThan(500)
  })

  test('B3: other methods are 405 and say which one is right', async () => {
    const { app, patches, reviews } = serve({ vm: vmOf(), vmi: vmiOf() })
    for (const other of METHODS.filter((one) => one !== method)) {
      const response = await app.inject({ method: other, url, headers: ALICE })
      expect([other, response.statusCode, response.headers.allow]).toEqual([other, 405, method])
    }
    expect([patches, reviews]).toEqual([[], []])
  })

  test('other spellings of its path are 404, and never a redirection', async () => {
    const { app } = serve({ vm: vmOf(), vmi: vmiOf() })
    for (const other of [`${url}/`, url.replace('/ns1/', '//ns1/'), url.replace('/ns1/', '/%2e%2e/')]) {
      const response = await app.inject({ method, url: other, headers: ALICE })
      expect([other, response.statusCode]).toEqual([other, 404])
      expect(response.headers).not.toHaveProperty('location')
    }
  })
})

/** Calls of anything that changes a guest. */
function recordingNode(calls: string[]): Partial<Actions> {
  const reads = new Set(['info', 'report', 'agentInfo', 'sevPlatform', 'sevMeasurement'])
  return new Proxy<Partial<Actions>>(
    {},
    {
      get: (_target, name) => async () => {
        if (!reads.has(String(name))) calls.push(String(name))
      },
    },
  )
}

const ATTESTED = { domain: { devices: {}, launchSecurity: { sev: { attestation: {} } } } }
const ENABLED = { state: 'Enabled' }

const situations = [
  ['halted', { vm: vmOf({ runStrategy: 'Halted' }) }],
  ['running', { vm: vmOf({ runStrategy: 'Always' }, { created: true, ready: true }), vmi: vmiOf() }],
  ['running by hand', { vm: vmOf({ runStrategy: 'Manual' }, { created: true, ready: true }), vmi: vmiOf() }],
  [
    'paused',
    {
      vm: vmOf({ runStrategy: 'Always' }, { created: true }),
      vmi: vmiOf('Running', { status: { conditions: [{ type: 'Paused', status: 'True' }] } }),
    },
  ],
  [
    'measured before it starts',
    { vm: vmOf(), vmi: vmiOf('Scheduled', { spec: ATTESTED, status: { changedBlockTracking: ENABLED } }) },
  ],
  [
    'measured and waits for its secret',
    {
      vm: vmOf(),
      vmi: vmiOf('Running', {
        spec: ATTESTED,
        status: { conditions: [{ type: 'Paused', status: 'True' }], changedBlockTracking: ENABLED },
      }),
    },
  ],
] as const

/** The node of the VMI. */
const NODE = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'n1', uid: 'n', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
}

const actions = routes.filter(([, { subresource }]) => subresource.type === 'action')

describe.each(actions)('%s', (_title, { url, subresource }) => {
  const body = ROUTE_CASES.get(resourceNameOf(subresource))?.body ?? {}
  test.each(situations)('with ?dryRun=All changes nothing of a VM that is %s', async (_state, objects) => {
    const calls: string[] = []
    const { app, patches, put } = serve({ ...objects, node: recordingNode(calls) })
    put(NODES, NODE)
    const response = await app.inject({
      method: 'PUT',
      url: `${url}?dryRun=All`,
      headers: ALICE,
      payload: JSON.stringify(body),
    })
    expect(response.statusCode).toBeLessThan(500)
    expect(patches.filter(({ dryRun }) => dryRun !== true)).toEqual([])
    expect(calls).toEqual([])
  })

  test('with a dryRun that means nothing changes nothing', async () => {
    const calls: string[] = []
    const objects = { vm: vmOf({ runStrategy: 'Halted' }, { created: true }), vmi: vmiOf() }
    const { app, patches, put } = serve({ ...objects, node: recordingNode(calls) })
    put(NODES, NODE)
    const response = await app.inject({
      method: 'PUT',
      url: `${url}?dryRun=perhaps`,
      headers: ALICE,
      payload: JSON.stringify(body),
    })
    expect(response.statusCode).toBeLessThan(500)
    expect([patches, calls]).toEqual([[], []])
  })
})

describe('the tests of subresources', () => {
  test.each(subresources.map((one) => [resourceNameOf(one), one] as const))(
    '%s has a file that speaks of it',
    (name, subresource) => {
      const found = ROUTE_CASES.get(name)
      expect(found, `add ${name} to test/http/route-cases.ts`).toBeDefined()
      const path = `test/subresources/${found?.file}`
      expect(existsSync(path), `${path} is to hold the tests of ${name}`).toBe(true)
      expect(readFileSync(path, 'utf8')).toContain(subresource.name.split('/').at(-1))
    },
  )

  test('the registry names nothing that is not served', () => {
    const served = new Set(subresources.map(resourceNameOf))
    expect([...ROUTE_CASES.keys()].filter((name) => !served.has(name))).toEqual([])
  })
})
