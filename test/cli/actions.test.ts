import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { notFound } from '../../src/lib/errors.ts'
import { VMS } from '../../src/kinds/table.ts'
import { refusedSubject } from '../../src/kinds/kind.ts'

const MAIN = new URL('../../src/virtgate.mjs', import.meta.url).pathname
const BASE = '/apis/subresources.kubevirt.io/v1/namespaces'

interface Seen {
  method: string | undefined
  url: string | undefined
  body: unknown
}

let server: Server
let kubeconfig: string
let seen: Seen[]

beforeAll(async () => {
  server = createServer((request, response) => void answer(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  kubeconfig = join(await mkdtemp(join(tmpdir(), 'cli-')), 'config')
  await writeFile(
    kubeconfig,
    JSON.stringify({
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'k', user: 'u', namespace: 'team' } }],
      clusters: [{ name: 'k', cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name: 'u', user: { token: 't' } }],
    }),
  )
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})
beforeEach(() => {
  seen = []
})

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  seen.push({ method: request.method, url: request.url, body: await json(request).catch(() => undefined) })
  const missing = request.url?.includes('/missing/')
  response.writeHead(missing ? 404 : 202, { 'content-type': 'application/json' })
  response.end(missing ? JSON.stringify(notFound(refusedSubject(VMS), 'missing').toStatus()) : '')
}

async function virtgate(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...process.env, KUBECONFIG: kubeconfig }
  return promisify(execFile)(process.execPath, [MAIN, ...args], { env }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
      code,
      stdout,
      stderr,
    }),
  )
}

test.each([
  [['start', 'web'], 'team/virtualmachines/web/start', {}],
  [['start', 'web', '--paused'], 'team/virtualmachines/web/start', { paused: true }],
  [['start', 'web', '-n', 'other'], 'other/virtualmachines/web/start', {}],
  [['stop', 'web', '--grace-period', '0'], 'team/virtualmachines/web/stop', { gracePeriod: 0 }],
  [['stop', 'web', '--dry-run'], 'team/virtualmachines/web/stop', { dryRun: ['All'] }],
  [['restart', 'web', '--force'], 'team/virtualmachines/web/restart', { gracePeriodSeconds: 0 }],
  [['pause', 'web'], 'team/virtualmachineinstances/web/pause', {}],
  [['unpause', 'web'], 'team/virtualmachineinstances/web/unpause', {}],
])('%j asks for %s', async (args, path, body) => {
  const { code, stdout } = await virtgate(...args)
  expect(seen).toEqual([{ method: 'PUT', url: `${BASE}/${path}`, body }])
  expect(code).toBe(0)
  expect(stdout).toContain('web')
})

test('a refusal of the server is printed and exits 1', async () => {
  const { code, stderr } = await virtgate('start', 'missing')
  expect(code).toBe(1)
  expect(stderr).toBe('virtgate: virtualmachine.kubevirt.io "missing" not found\n')
})

test.each([
  [['stop', 'web', '--grace-period', '-1'], 'not a whole number of seconds'],
  [['frobnicate'], 'unknown command'],
])('%j is refused before anything is sent', async (args, message) => {
  const { code, stderr } = await virtgate(...args)
  expect(code).not.toBe(0)
  expect(stderr).toContain(message)
  expect(seen).toEqual([])
})

test('a server that nobody answers for is named', async () => {
  const { code, stderr } = await virtgate('start', 'web', '--kubeconfig', '/nonexistent')
  expect(code).toBe(1)
  expect(stderr).toContain('/nonexistent')
})
