import { afterEach, beforeEach, expect, test } from 'vitest'
import type { FastifyInstance } from 'fastify'
import type { Attributes, User } from '../../src/auth/access.ts'
import { buildProfiler } from '../../src/http/profiler.ts'
import { PROFILER_PATHS, registerProfiler } from '../../src/http/profiler-routes.ts'
import { ALICE, apiOf } from '../helpers/api.ts'

let app: FastifyInstance
let isOn: boolean
let reviews: { user: User; attributes: Attributes }[]
let isAllowed: boolean
beforeEach(() => {
  isOn = true
  isAllowed = true
  reviews = []
  const made = apiOf(
    {},
    {
      authorizer: {
        review: async (user, attributes) => {
          reviews.push({ user, attributes })
          return { allowed: isAllowed, reason: '' }
        },
      },
    },
  )
  app = made.app
  registerProfiler(app, {
    profiler: buildProfiler(),
    configuration: async () => ({ developerConfiguration: { clusterProfiler: isOn } }),
    component: 'here',
  })
})
afterEach(() => app.close())

const ask = (url: string, payload?: string) =>
  app.inject({ url, headers: ALICE, ...(payload !== undefined && { payload }) })
const G = '/apis/subresources.kubevirt.io/v1'

test('nobody profiles without the right to, switched on or off', async () => {
  for (const state of [true, false]) {
    isOn = state
    for (const url of PROFILER_PATHS) {
      expect([url, (await app.inject({ url })).statusCode]).toEqual([url, 401])
      isAllowed = false
      expect([url, (await ask(url)).statusCode]).toEqual([url, 403])
      isAllowed = true
    }
  }
})

test('each endpoint asks for exactly itself', async () => {
  await ask('/dump-profiler')
  await ask(`${G}/stop-cluster-profiler`)
  expect(reviews.map(({ attributes }) => attributes)).toEqual([
    { kind: 'path', verb: 'get', path: '/dump-profiler' },
    {
      kind: 'resource',
      verb: 'get',
      group: 'subresources.kubevirt.io',
      version: 'v1',
      resource: 'stop-cluster-profiler',
    },
  ])
})

test('switched off, it says how to switch it on', async () => {
  isOn = false
  for (const url of PROFILER_PATHS) {
    const response = await ask(url)
    expect([url, response.statusCode]).toEqual([url, 403])
    expect(response.json().message).toContain('clusterProfiler')
  }
})

test('a run gives profiles that developer tools read', async () => {
  expect((await ask('/dump-profiler')).json()).toEqual({ pprofData: {} })
  const started = await ask('/start-profiler')
  expect([started.statusCode, started.body]).toEqual([200, ''])
  await ask('/start-profiler')
  expect((await ask('/stop-profiler')).statusCode).toBe(200)
  expect((await ask('/stop-profiler')).statusCode).toBe(200)
  const { pprofData } = (await ask('/dump-profiler')).json()
  const read = (text: string) => JSON.parse(Buffer.from(text, 'base64').toString())
  expect(read(pprofData.cpu)).toMatchObject({ nodes: expect.any(Array), samples: expect.any(Array) })
  expect(read(pprofData.heap)).toMatchObject({ head: expect.any(Object) })
})

test('the results of a cluster are those of the process that answers', async () => {
  await ask(`${G}/start-cluster-profiler`)
  await ask(`${G}/stop-cluster-profiler`)
  const { componentResults } = (await ask(`${G}/dump-cluster-profiler`, '{"pageSize":10}')).json()
  expect(Object.keys(componentResults)).toEqual(['here'])
  expect(Object.keys(componentResults.here.pprofData)).toEqual(['cpu', 'heap'])
})

test.each([undefined, '[]', 'x'])('results are not asked for with the body %s', async (payload) => {
  const response = await ask(`${G}/dump-cluster-profiler`, payload)
  expect(response.json()).toMatchObject({ kind: 'Status', code: 400 })
})
