/** Processes of a cluster whose certificates stand in Secrets, which the controller keeps. */
import type { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isSignedBy } from '../../certs/inspect.ts'
import type { ConfigMap, Secret } from '../../src/kinds/core.ts'
import { splitBundle } from '../../src/lib/pem.ts'
import { decodeSecret } from '../../src/roles/certificates/secret-data.ts'
import { grantCertificates } from '../helpers/certificate-roles.ts'
import { openObjectServer, type ObjectServer } from '../helpers/object-server.ts'
import { runRole, startRole, type Flags, type RoleProcess } from '../helpers/role-process.ts'
import { eventually } from '../helpers/server.ts'

const SECRETS = '/api/v1/namespaces/kubevirt/secrets'

const stack = new AsyncDisposableStack()
let objects: ObjectServer
let controller: RoleProcess
let apiserver: RoleProcess

beforeAll(async () => {
  objects = stack.use(await openObjectServer())
  await grantCertificates(objects.client)
}, 60_000)
afterAll(() => stack.disposeAsync())

async function flagsOf(account: string): Promise<Flags> {
  return { 'log-level': 'info', kubeconfig: await objects.kubeconfigOf('kubevirt', account) }
}

async function flagsOfController(): Promise<Flags> {
  return { ...(await flagsOf('kubevirt-controller')), 'ca-spread': '1s', 'serving-host': '127.0.0.1' }
}

async function secret(name: string): Promise<Record<string, string>> {
  return decodeSecret(await objects.client.call<Secret>({ method: 'GET', path: `${SECRETS}/${name}` }))
}

/** The certificate that is served, once it is believed by what the Secret says. */
async function served(port: number): Promise<X509Certificate> {
  const { 'ca.crt': ca } = await secret('kubevirt-virt-api-certs')
  const socket = connect({ host: '127.0.0.1', port, ca, servername: 'virt-api.kubevirt.svc' })
  await once(socket, 'secureConnect')
  const certificate = socket.getPeerX509Certificate()
  socket.destroy()
  if (!certificate) throw new Error('nothing was shown')
  return certificate
}

test('an API server waits for its certificates and serves once a controller has made them', async () => {
  const flags = { ...(await flagsOf('kubevirt-apiserver')), listen: '127.0.0.1:0', drain: '0' }
  const starting = startRole('apiserver', flags)
  starting.catch(() => {})
  controller = stack.use(await startRole('controller', await flagsOfController()))
  apiserver = stack.use(await starting)
  const certificate = await served(portOf(apiserver))
  expect(certificate.checkHost('virt-api.kubevirt.svc')).toBeDefined()
  expect(certificate.checkIP('127.0.0.1')).toBeDefined()
  const map = '/api/v1/namespaces/kubevirt/configmaps/virtgate-internal-ca'
  const trust = await objects.client.call<ConfigMap>({ method: 'GET', path: map })
  for (const name of ['virtgate-apiserver-certs', 'virtgate-controller-certs', 'virtgate-enrolment-certs']) {
    // They are made one after the other, and the API server waits for its own alone.
    const pair = await eventually(`${name} is there`, 30_000, () => secret(name).catch(() => undefined))
    expect(pair['ca.crt']).toBe(trust.data?.['ca.crt'])
    expect(isSignedBy(pair['tls.crt'] ?? '', pair['ca.crt'] ?? '')).toBe(true)
  }
  expect((await secret('virtgate-serving-ca'))['tls.key']).toContain('PRIVATE KEY')
}, 60_000)

test('an authority that is asked for anew follows without a failed handshake, though the controller is killed', async () => {
  const port = portOf(apiserver)
  const bundle = async () => (await secret('kubevirt-virt-api-certs'))['ca.crt'] ?? ''
  const first = await bundle()
  await objects.client.call({
    method: 'PATCH',
    path: `${SECRETS}/virtgate-serving-ca`,
    contentType: 'application/merge-patch+json',
    body: { metadata: { annotations: { 'virtgate.io/renew': 'now' } } },
  })
  await eventually('the new authority is announced', 30_000, async () => {
    await served(port)
    return splitBundle(await bundle()).length === 2
  })
  expect(isSignedBy((await served(port)).toString(), first)).toBe(true)
  await controller.stop('SIGKILL')
  controller = stack.use(await startRole('controller', await flagsOfController()))
  await eventually('it signs', 60_000, async () => {
    return !isSignedBy((await served(port)).toString(), first)
  })
  const [newest, oldest] = splitBundle(await bundle())
  expect(oldest).toBe(first)
  expect(isSignedBy((await served(port)).toString(), newest ?? '')).toBe(true)
}, 120_000)

test.each([
  [{ 'tls-cert': '/x' }, 'give --tls-cert, --tls-key, --worker-ca together, or none of them'],
  [{ 'cert-life': '2h', 'ca-life': '1h' }, '--cert-life is longer than --ca-life'],
  [{ 'ca-overlap': '1h' }, '--ca-overlap is to be at least twice --cert-life'],
  [{ 'ca-spread': '8000h' }, '--ca-spread is to be at most a sixth of --ca-life'],
  [{ 'cert-life': 'soon' }, 'is no duration'],
])('a controller is refused %o', async (flags, why) => {
  const { code, stderr } = await runRole('controller', { kubeconfig: '/nowhere', ...flags })
  expect(stderr).toContain(why)
  expect(code).toBe(1)
})

function portOf({ ready }: RoleProcess): number {
  return Number(/https:\/\/[^:]+:(\d+)/.exec(ready)?.[1])
}
