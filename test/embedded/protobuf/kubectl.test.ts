import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeKubeconfig } from '../../../certs/kubeconfig.ts'
import { openCertificateStore } from '../../../certs/store.ts'
import { openSchemas } from '../../../src/embedded/schemas/open.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { openEmbeddedApi } from '../../../src/roles/embedded-api.ts'
import { buildEmbeddedServer } from '../../../src/roles/embedded-server.ts'
import { openRoleMetrics } from '../../../src/roles/metrics.ts'
import { createFakeNodes } from '../../helpers/fake-node.ts'
import { silentLog } from '../../helpers/object-registry.ts'

const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0
if (!hasKubectl) process.stderr.write('SKIPPING kubectl and protobuf: no kubectl on the PATH.\n')

interface TestServer extends AsyncDisposable {
  /** A directory with a kubeconfig. */
  dir: string
}

/** All that answers kubectl, without nodes. */
async function startServer(): Promise<TestServer> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'virtgate-protobuf-'))
  stack.defer(() => rm(dir, { recursive: true }))
  const schemas = openSchemas()
  const embedded = stack.use(
    await openEmbeddedApi({
      file: join(dir, 'objects.db'),
      durability: 'normal',
      shapes: schemas,
      architecture: 'amd64',
      clock: systemClock,
      log: silentLog,
    }),
  )
  const certificates = stack.use(
    await openCertificateStore({ dir: join(dir, 'pki'), hosts: ['127.0.0.1'], onError: () => {} }),
  )
  const app = buildEmbeddedServer({
    embedded,
    metrics: openRoleMetrics(silentLog),
    nodes: createFakeNodes({}),
    events: { record() {} },
    certificates,
    schemas,
    log: silentLog,
  })
  stack.defer(() => app.close())
  const server = await app.listen({ host: '127.0.0.1', port: 0 })
  const { ca, admin } = certificates.current()
  await writeKubeconfig(join(dir, 'kubeconfig'), {
    server,
    ca,
    clientCert: admin.cert,
    clientKey: admin.key,
    namespace: 'default',
  })
  const open = stack.move()
  return { dir, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

interface Run {
  code: number
  stdout: string
  stderr: string
}

describe.skipIf(!hasKubectl)('what kubectl sends in protobuf arrives', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  // The server lives in this process, so waiting for kubectl must not block it.
  async function kubectl(...args: string[]): Promise<Run> {
    const env = { ...process.env, KUBECONFIG: join(server.dir, 'kubeconfig'), HOME: server.dir }
    return new Promise((resolve) => {
      execFile('kubectl', args, { env }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr }),
      )
    })
  }
  async function read(...args: string[]): Promise<unknown> {
    return JSON.parse((await kubectl('get', ...args, '-o', 'json')).stdout)
  }
  const create = (line: string) => kubectl('create', ...line.split(' '))

  test.each([
    ['namespace team-a', 'namespace team-a', { metadata: { name: 'team-a' } }],
    ['serviceaccount dev', 'serviceaccount dev', { metadata: { name: 'dev' } }],
    [
      'role reader --verb=get,list --resource=configmaps --resource-name=one',
      'role reader',
      {
        rules: [
          { verbs: ['get', 'list'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['one'] },
        ],
      },
    ],
    [
      'clusterrole logs --verb=get --non-resource-url=/logs/*',
      'clusterrole logs',
      { rules: [{ verbs: ['get'], nonResourceURLs: ['/logs/*'] }] },
    ],
    [
      'rolebinding dev --clusterrole=edit --serviceaccount=default:dev',
      'rolebinding dev',
      {
        subjects: [{ kind: 'ServiceAccount', name: 'dev', namespace: 'default' }],
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
      },
    ],
    [
      'clusterrolebinding ann --clusterrole=view --user=ann',
      'clusterrolebinding ann',
      { subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'ann' }] },
    ],
    [
      'secret generic keys --from-literal=one=two --from-literal=empty=',
      'secret keys',
      { type: 'Opaque', data: { one: 'dHdv', empty: '' } },
    ],
    ['configmap settings --from-literal=k=v', 'configmap settings', { data: { k: 'v' } }],
    ['quota small --hard=cpu=1,pods=2', 'quota small', { spec: { hard: { cpu: '1', pods: '2' } } }],
    [
      'priorityclass low --value=-10 --description=last',
      'priorityclass low',
      { value: -10, description: 'last' },
    ],
  ])('create %s', async (line, name, expected) => {
    expect(await create(line)).toMatchObject({ code: 0, stderr: '' })
    expect(await read(...name.split(' '))).toMatchObject(expected)
  })

  test('a token is made, and it is good', async () => {
    await create('serviceaccount tokens')
    const { stdout } = await kubectl('create', 'token', 'tokens', '--duration=10m')
    const [, claims = ''] = stdout.split('.')
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
      sub: 'system:serviceaccount:default:tokens',
    })
  })

  test('auth can-i answers for oneself and for others', async () => {
    expect(await kubectl('auth', 'can-i', 'create', 'vms')).toMatchObject({ code: 0, stdout: 'yes\n' })
    expect(await kubectl('auth', 'can-i', 'create', 'vms', '--as=nobody')).toMatchObject({
      code: 1,
      stdout: 'no\n',
    })
    expect((await kubectl('auth', 'can-i', '--list')).stdout).toContain('*.*')
    expect((await kubectl('auth', 'whoami')).stdout).toContain('system:masters')
  })

  test('what admission refuses is refused with its reason', async () => {
    expect(await create('namespace Wrong_Name')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('metadata.name'),
    })
    expect(await create('clusterrolebinding gone --clusterrole=view --user=ann')).toMatchObject({ code: 0 })
    expect((await create('clusterrolebinding gone --clusterrole=view --user=ann')).stderr).toContain(
      'already exists',
    )
  })
})
