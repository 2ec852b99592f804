import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { registerAggregatedRoot } from '../../src/http/aggregated-root.ts'
import { buildProfiler } from '../../src/http/profiler.ts'
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
    profiling: { profiler: buildProfiler(), configuration: async () => ({}), component: 'here' },
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

/** The code of an answer to a path that is sent as it is: `inject` would tidy it up. */
async function codeOf(port: number, path: string): Promise<number | undefined> {
  const request = get({ host: '127.0.0.1', port, path, agent: false })
  const [response]: IncomingMessage[] = await once(request, 'response')
  response?.resume()
  return response?.statusCode
}

test('no other spelling of an open path is open', async () => {
  const { app } = serve()
  await app.listen({ port: 0, host: '127.0.0.1' })
  try {
    const address = app.server.address()
    if (typeof address !== 'object' || !address) throw new Error('not listening')
    const opened: string[] = []
    for (const url of OPEN.filter((path) => path !== '/')) {
      for (const other of otherSpellings(url)) {
        if ((await codeOf(address.port, other)) !== 401) opened.push(other)
      }
      expect(await codeOf(address.port, `${url}?x=y`)).toBe(await codeOf(address.port, url))
    }
    expect(opened).toEqual([])
  } finally {
    await app.close()
  }
})

function otherSpellings(url: string): string[] {
  return [
    `${url}/`,
    `/${url}`,
    `${url}//`,
    `${url}/%2e%2e`,
    `/x/%2e%2e${url}`,
    `/x/..${url}`,
    `/.${url}`,
    `${url}%2f`,
    `${url}%2fx`,
    `${url};x`,
    url.toUpperCase(),
  ]
}
