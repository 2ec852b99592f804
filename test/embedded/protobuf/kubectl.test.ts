import { execFile, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeKubeconfig } from '../../../certs/kubeconfig.ts'
import { openObjectServer, type ObjectServer } from '../../helpers/object-server.ts'

const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0
if (!hasKubectl) process.stderr.write('SKIPPING kubectl and protobuf: no kubectl on the PATH.\n')

/** All that answers kubectl, without nodes, and a kubeconfig of an administrator beside it. */
async function startServer(): Promise<ObjectServer> {
  const server = await openObjectServer()
  const { ca, admin } = server.certificates.current()
  await writeKubeconfig(join(server.dir, 'kubeconfig'), {
    server: server.url,
    ca,
    clientCert: admin.cert,
    clientKey: admin.key,
    namespace: 'default',
  })
  return server
}

interface Run {
  code: number
  stdout: string
  stderr: string
}

describe.skipIf(!hasKubectl)('what kubectl sends in protobuf arrives', () => {
  let server: ObjectServer
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
