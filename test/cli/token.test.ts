/** `virtgate token`, on a real API, with what controllers do when a worker comes with one. */
import { Command } from 'commander'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createAuthority } from '../../certs/issue.ts'
import { addToken } from '../../src/cli/commands/token.ts'
import { INSTALL_NAMESPACE, JOIN_TOKENS_SECRET, TRUST_CONFIGMAP_NAME } from '../../src/kinds/installation.ts'
import { createJoinToken, formatJoinToken, parseJoinToken } from '../../src/kinds/join-token.ts'
import { unlessNotFound } from '../../src/lib/errors.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { encodeSecret } from '../../src/roles/certificates/secret-data.ts'
import { useJoinToken } from '../../src/roles/enrolment/join-tokens.ts'
import { openKubeStore } from '../../src/store/kube/store.ts'
import { openObjectServer, type ObjectServer } from '../helpers/object-server.ts'

const NAMESPACE_PATH = `/api/v1/namespaces/${INSTALL_NAMESPACE}`
const SECRET_PATH = `${NAMESPACE_PATH}/secrets/${JOIN_TOKENS_SECRET}`

let server: ObjectServer
let kubeconfig = ''
let powerless = ''

beforeAll(async () => {
  server = await openObjectServer()
  const post = (path: string, body: object) => server.client.call({ method: 'POST', path, body })
  await unlessNotFound(server.client.call({ method: 'GET', path: NAMESPACE_PATH })).then(
    (found) =>
      found ??
      post('/api/v1/namespaces', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: INSTALL_NAMESPACE },
      }),
  )
  const { cert } = await createAuthority({ commonName: 'ours', now: new Date(), days: 1 })
  const metadata = { name: TRUST_CONFIGMAP_NAME }
  const data = { 'ca.crt': cert }
  await post(`${NAMESPACE_PATH}/configmaps`, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data })
  for (const name of ['boss', 'nobody']) {
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } }
    await post('/api/v1/namespaces/default/serviceaccounts', account)
  }
  await post('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'boss' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', namespace: 'default', name: 'boss' }],
  })
  kubeconfig = await server.kubeconfigOf('default', 'boss')
  powerless = await server.kubeconfigOf('default', 'nobody')
})
beforeEach(async () => {
  await unlessNotFound(server.client.call({ method: 'DELETE', path: SECRET_PATH }))
})
afterAll(() => server[Symbol.asyncDispose]())

/** What the command prints. */
async function run(args: string[], config = kubeconfig): Promise<string> {
  let said = ''
  const stdout = { write: (text: string) => ((said += text), true) }
  // It writes to standard output alone.
  const context = { ...process, stdout: stdout as NodeJS.WritableStream, env: { KUBECONFIG: config } }
  const program = new Command().exitOverride()
  addToken(program, { ...context, signal: new AbortController().signal })
  await program.parseAsync(['token', ...args], { from: 'user' })
  return said
}

/** A worker comes with the token. */
function use(token: string, node: string): Promise<void> {
  const parts = { store: openKubeStore(server.client), namespace: INSTALL_NAMESPACE, clock: systemClock }
  return useJoinToken(parts, token.trim(), { node, key: 'k' })
}

async function listed(): Promise<unknown> {
  return JSON.parse(await run(['list', '-o', 'json']))
}

const idOf = (token: string) => parseJoinToken(token.trim()).id

test('where none was made, none is there', async () => {
  expect(await run(['list'])).toBe('There are no join tokens.\n')
  expect(await listed()).toEqual([])
  await expect(run(['revoke', '0123456789ab'])).rejects.toThrow(
    'there is no join token 0123456789ab in kubevirt',
  )
})

test('a list says what has become of each, and nothing that anybody could enrol with', async () => {
  const last = await run(['create', '--ttl', '2h', '--node', 'node01'])
  const used = await run(['create', '--ttl', '1h'])
  await use(used, 'node02')
  const over = createJoinToken({ expires: '2026-01-01T00:00:00Z' }, ['a'.repeat(43)])
  const ended = formatJoinToken(over.token)
  const kept = { [idOf(ended)]: JSON.stringify(over.kept), broken: 'what?' }
  const contentType = 'application/merge-patch+json'
  const body = { data: encodeSecret(kept) }
  await server.client.call({ method: 'PATCH', path: SECRET_PATH, contentType, body })
  const expires = expect.stringMatching(/^\d{4}-.*Z$/)
  expect(await listed()).toEqual([
    { id: idOf(last), state: 'good', node: 'node01', expires },
    { id: idOf(used), state: 'used', expires, usedBy: 'node02' },
    { id: idOf(ended), state: 'ended', expires },
    { id: 'broken', state: 'unreadable' },
  ])
  const text = await run(['list'])
  const rows = text
    .trim()
    .split('\n')
    .map((line) => line.split(/ {2,}/).slice(0, 3))
  expect(rows).toEqual([
    ['ID', 'NODE', 'STATE'],
    [idOf(last), 'node01', 'good'],
    [idOf(used), '<any>', 'used by node02'],
    [idOf(ended), '<any>', 'ended'],
    ['broken', 'unreadable'],
  ])
  for (const token of [last, used, ended]) expect(text).not.toContain(parseJoinToken(token.trim()).secret)
})

test.each([
  ['by its ID', idOf],
  ['as it was printed', (token: string) => token.trim()],
])('a token that is revoked %s lets nobody enrol, and the others do', async (_how, name) => {
  const [one, other] = [await run(['create']), await run(['create'])]
  expect(await run(['revoke', name(one)])).toBe(`${idOf(one)} is revoked\n`)
  await expect(use(one, 'node01')).rejects.toMatchObject({
    code: 401,
    message: 'nobody knows this join token',
  })
  await use(other, 'node01')
  expect(await listed()).toMatchObject([{ id: idOf(other), state: 'used' }])
})

test('whoever revokes a token too late is told for whom it was used', async () => {
  const token = await run(['create'])
  await use(token, 'node07')
  expect(await run(['revoke', idOf(token)])).toContain('the worker of node07 keeps the certificate')
  expect(await listed()).toEqual([])
})

test('several are revoked together, or none where one is not there', async () => {
  const [one, other] = [await run(['create']), await run(['create'])]
  const ids = [idOf(one), idOf(other)]
  await expect(run(['revoke', ...ids, 'ffffffffffff'])).rejects.toThrow('no join token ffffffffffff')
  expect(await listed()).toHaveLength(2)
  await run(['revoke', ...ids])
  expect(await listed()).toEqual([])
})

test('tokens that are used and revoked at the same time end in one of both', async () => {
  const tokens = await Promise.all(Array.from({ length: 6 }, () => run(['create'])))
  const results = await Promise.all(
    tokens.map(async (token, at) => {
      const [using, revoking] = await Promise.allSettled([
        use(token, `node${at}`),
        run(['revoke', idOf(token)]),
      ])
      return [using.status, revoking.status === 'fulfilled' && revoking.value.includes('but was used')]
    }),
  )
  // What was used before it was revoked is said to have been; what was revoked before was not used.
  for (const [using, wasUsed] of results) expect(wasUsed).toBe(using === 'fulfilled')
  expect(await listed()).toEqual([])
})

test.each(['create', 'list', 'revoke'])('%s says which right is missing', async (command) => {
  const args = command === 'revoke' ? ['0123456789ab'] : []
  await expect(run([command, ...args], powerless)).rejects.toMatchObject({ code: 403 })
})
