import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { once } from 'node:events'
import type { KeyPair } from '../../certs/issue.ts'
import { openApiServerRole } from '../../src/roles/apiserver.ts'
import { memoryLog } from './api.ts'
import { rawClient, trustData, type RawClient } from './front-proxy.ts'
import { openObjectServer, type ObjectServer } from './object-server.ts'
import { makeAuthority, servingPair, type TestAuthority } from './pki.ts'
import { eventually } from './server.ts'

const MAPS = '/api/v1/namespaces/kube-system/configmaps'
const MAP = 'extension-apiserver-authentication'
const RBAC = '/apis/rbac.authorization.k8s.io'

/** A whole `virtgate apiserver` in front of a Kubernetes API, with a worker that does not answer. */
export interface FrontDoor extends AsyncDisposable {
  objects: ObjectServer
  /** The request-header authority. */
  ca: TestAuthority
  /** Whom clients believe; signs the serving pair. */
  people: TestAuthority
  /** Where the serving pair stands. */
  serving: { cert: string; key: string }
  /** What kube-apiserver shows. */
  proxy: KeyPair
  port: number
  webhookPort: number
  log: ReturnType<typeof memoryLog>
  /** Connects over HTTP/1.1, with a certificate or without. */
  connect(pair?: Partial<KeyPair>, port?: number): Promise<RawClient>
  /** The same without any help: what is written goes out as it is. */
  socket(pair?: Partial<KeyPair>, port?: number): Promise<TLSSocket>
  /** Says in the ConfigMap what kube-apiserver would say; `undefined` takes a key away. Waits until it counts. */
  setTrust(change: Record<string, string | undefined>): Promise<void>
}

/** Opens one whose ConfigMap allows `front-proxy-client` of `ca`. */
export async function openFrontDoor(): Promise<FrontDoor> {
  await using stack = new AsyncDisposableStack()
  const objects = stack.use(await openObjectServer({ workers: ['node01'] }))
  const people = await makeAuthority("people's authority")
  const ca = await makeAuthority('front proxy authority')
  const proxy = await ca.issue({ usage: 'client', commonName: 'front-proxy-client' })
  await allowReading(objects)
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: MAP }, data: trustData(ca.cert) }
  await objects.client.call({ method: 'POST', path: MAPS, body })
  const stop = new AbortController()
  stack.defer(() => stop.abort())
  const log = memoryLog()
  const { cert, key, ca: internal } = objects.certificates.files('apiserver')
  const pair = await servingPair(people)
  const serving = {
    cert: await write(objects, 'serving.crt', pair.cert),
    key: await write(objects, 'serving.key', pair.key),
  }
  const server = stack.use(
    await openApiServerRole({
      kubeconfig: await objects.kubeconfigOf('kubevirt', 'kubevirt-apiserver'),
      listen: '127.0.0.1:0',
      webhookListen: '127.0.0.1:0',
      serving: { ...serving, ca: serving.cert },
      installNamespace: 'kubevirt',
      // Nobody listens there.
      node: ['node01=127.0.0.1:9'],
      tls: { cert, key, ca: internal },
      drainSeconds: 0,
      allowedOrigins: [],
      log,
      audit: log,
      signal: stop.signal,
    }),
  )
  const port = Number(new URL(server.url).port)
  const sockets = new Set<TLSSocket>()
  stack.defer(() => {
    for (const one of sockets) one.destroy()
  })
  const socket = async (shown: Partial<KeyPair> = {}, to = port) => {
    const opened = connectTls({
      host: '127.0.0.1',
      port: to,
      ca: people.cert,
      ALPNProtocols: ['http/1.1'],
      ...shown,
    })
    await once(opened, 'secureConnect')
    opened.on('error', () => {})
    sockets.add(opened)
    opened.once('close', () => sockets.delete(opened))
    return opened
  }
  const connect = async (shown: Partial<KeyPair> = {}, to = port) => {
    const client = await rawClient(to, { ca: people.cert, ...shown })
    sockets.add(client.socket)
    client.socket.once('close', () => sockets.delete(client.socket))
    return client
  }
  const setTrust = async (change: Record<string, string | undefined>) => {
    const before = await objects.client.call<{ data: object }>({ method: 'GET', path: `${MAPS}/${MAP}` })
    const gone = Object.fromEntries(Object.keys(before.data).map((name) => [name, null]))
    // Changed in any case, so that there is something to wait for.
    const data = { ...gone, ...trustData(ca.cert, change), revision: String(log.lines.length) }
    const patch = { path: `${MAPS}/${MAP}`, contentType: 'application/merge-patch+json', body: { data } }
    const seen = log.lines.length
    await objects.client.call({ method: 'PATCH', ...patch })
    await eventually('the ConfigMap counts', 10_000, async () =>
      log.lines.slice(seen).some(({ text }) => text.startsWith('requests that kube-apiserver forwards are')),
    )
  }
  await eventually('the first ConfigMap counts', 10_000, async () => {
    const { body: ready } = await (await connect()).ask('GET', '/readyz?verbose', [])
    return ready.includes('[+]front-proxy ok')
  })
  const open = stack.move()
  return {
    objects,
    ca,
    people,
    serving,
    proxy,
    port,
    webhookPort: Number(new URL(server.webhookUrl ?? '').port),
    log,
    connect,
    socket,
    setTrust,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

async function write({ dir }: ObjectServer, name: string, text: string): Promise<string> {
  const file = join(dir, name)
  await writeFile(file, text)
  return file
}

/** As every cluster has it. */
async function allowReading({ client }: ObjectServer): Promise<void> {
  const name = 'extension-apiserver-authentication-reader'
  const apiGroup = 'rbac.authorization.k8s.io'
  const path = `${RBAC}/v1/namespaces/kube-system`
  const common = { apiVersion: `${apiGroup}/v1`, metadata: { name } }
  const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch'] }]
  await client.call({ method: 'POST', path: `${path}/roles`, body: { ...common, kind: 'Role', rules } })
  const subjects = [{ kind: 'ServiceAccount', namespace: 'kubevirt', name: 'kubevirt-apiserver' }]
  const body = { ...common, kind: 'RoleBinding', roleRef: { apiGroup, kind: 'Role', name }, subjects }
  await client.call({ method: 'POST', path: `${path}/rolebindings`, body })
}
