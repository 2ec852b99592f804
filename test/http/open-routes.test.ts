import { expect, test } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { registerAggregatedRoot } from '../../src/http/aggregated-root.ts'
import { subresources } from '../../src/subresources/index.ts'
import { apiOf, memoryLog } from '../helpers/api.ts'
import { memoryStore } from '../helpers/memory-store.ts'

const G = '/apis/subresources.kubevirt.io'
const OPEN = [
  '/',
  '/apis',
  G,
  '/healthz',
  '/openapi/v2',
  '/openapi/v3',
  ...['v1', 'v1alpha3'].flatMap((version) => [
    `${G}/${version}`,
    `${G}/${version}/version`,
    `${G}/${version}/healthz`,
    `${G}/${version}/guestfs`,
    `/openapi/v3${G}/${version}`,
  ]),
]

function serve(): { app: FastifyInstance; urls: Set<string> } {
  const { app } = apiOf({})
  const urls = new Set<string>()
  app.addHook('onRoute', ({ url }) => void urls.add(url))
  registerAggregatedRoot(app, subresources, {
    store: memoryStore().store,
    version: {
      gitVersion: 'v1.9.0',
      gitCommit: '',
      gitTreeState: '',
      buildDate: '',
      goVersion: '',
      compiler: '',
      platform: '',
    },
    apiServerVersion: async () => ({}),
    log: memoryLog(),
  })
  return { app, urls }
}

test('without credentials exactly the open paths are served', async () => {
  const { app, urls } = serve()
  await app.ready()
  const all = new Set([...urls].map((url) => url.replace(':namespace', 'ns1').replace(':name', 'vm1')))
  const served: string[] = []
  for (const url of all) {
    for (const method of ['GET', 'PUT', 'POST'] as const) {
      const { statusCode } = await app.inject({ method, url })
      // guestfs is open and has nothing to say before KubeVirt is deployed.
      if (statusCode !== 401) served.push(`${method} ${url}`)
    }
  }
  expect(served.sort()).toEqual(OPEN.map((url) => `GET ${url}`).sort())
})

test.each(OPEN.filter((url) => url !== '/'))('no other spelling of %s is open', async (url) => {
  const { app } = serve()
  const others = [
    `${url}/`,
    `/${url}`,
    `${url}//`,
    `${url}/%2e%2e`,
    `/x/%2e%2e${url}`,
    `/x/..${url}`,
    `${url}%2f`,
    `${url}%2fx`,
    `${url};x`,
    url.toUpperCase(),
  ]
  for (const other of others)
    expect([other, (await app.inject({ url: other })).statusCode]).toEqual([other, 401])
  const withQuery = await app.inject({ url: `${url}?x=y` })
  expect(withQuery.statusCode).toBe((await app.inject({ url })).statusCode)
})
