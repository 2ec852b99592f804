/** `virtgate apiserver` in front of a Kubernetes API, called as kube-apiserver calls it. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { KeyPair } from '../../certs/issue.ts'
import { openApiServerRole, type RunningApiServer } from '../../src/roles/apiserver.ts'
import { memoryLog } from '../helpers/api.ts'
import { rawClient, trustData, type RawAnswer, type RawClient } from '../helpers/front-proxy.ts'
import { openObjectServer, type ObjectServer } from '../helpers/object-server.ts'
import { makeAuthority, servingPair, type TestAuthority } from '../helpers/pki.ts'
import { eventually } from '../helpers/server.ts'

const MAP = '/api/v1/namespaces/kube-system/configmaps'
const TRUST = 'extension-apiserver-authentication'
const START = '/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachines/vm1/start'
const EDITOR = ['X-Remote-User: jane', 'X-Remote-Group: editors', 'X-Remote-Group: system:authenticated']

const stack = new AsyncDisposableStack()
const log = memoryLog()
let objects: ObjectServer
let people: TestAuthority
let ca: TestAuthority
let webhookCa: TestAuthority
let proxy: KeyPair
let server: RunningApiServer

beforeAll(async () => {
  objects = stack.use(await openObjectServer())
  people = await makeAuthority("people's authority")
  ca = await makeAuthority('front proxy authority')
  webhookCa = await makeAuthority('webhook client authority')
  proxy = await ca.issue({ usage: 'client', commonName: 'front-proxy-client' })
  await allowReading()
  await bindEditors()
  const stop = new AbortController()
  stack.defer(() => stop.abort())
  const { cert, key, ca: internal } = objects.certificates.files('apiserver')
  const pair = await servingPair(people)
  const tls = { cert: await write('serving.crt', pair.cert), key: await write('serving.key', pair.key) }
  server = stack.use(
    await openApiServerRole({
      kubeconfig: await objects.kubeconfigOf('kubevirt', 'kubevirt-apiserver'),
      listen: '127.0.0.1:0',
      serving: { ...tls, ca: tls.cert },
      webhookListen: '127.0.0.1:0',
      webhookClientCa: await write('webhook-ca.crt', webhookCa.cert),
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
})
afterAll(() => stack.disposeAsync())

async function write(name: string, text: string): Promise<string> {
  const file = join(objects.dir, name)
  await writeFile(file, text)
  return file
}

const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const rbac = 'rbac.authorization.k8s.io'

function post(path: string, body: object): Promise<object> {
  return objects.client.call({ method: 'POST', path, body })
}

/** As every cluster has it. */
async function allowReading(): Promise<void> {
  const name = 'extension-apiserver-authentication-reader'
  await post(`${RBAC}/namespaces/kube-system/roles`, {
    apiVersion: `${rbac}/v1`,
    kind: 'Role',
    metadata: { name },
    rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch'] }],
  })
  await post(`${RBAC}/namespaces/kube-system/rolebindings`, {
    apiVersion: `${rbac}/v1`,
    kind: 'RoleBinding',
    metadata: { name },
    roleRef: { apiGroup: rbac, kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', namespace: 'kubevirt', name: 'kubevirt-apiserver' }],
  })
}

async function bindEditors(): Promise<void> {
  await post(`${RBAC}/namespaces/default/rolebindings`, {
    apiVersion: `${rbac}/v1`,
    kind: 'RoleBinding',
    metadata: { name: 'editors' },
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'kubevirt.io:edit' },
    subjects: [{ apiGroup: rbac, kind: 'Group', name: 'editors' }],
  })
}

async function connect(url: string | undefined, pair: Partial<KeyPair> = {}): Promise<RawClient> {
  const client = await rawClient(Number(new URL(url ?? '').port), { ca: people.cert, ...pair })
  stack.defer(() => void client.socket.destroy())
  return client
}

const messageOf = ({ body }: RawAnswer): string => JSON.parse(body).message

/** Waits until the answer has this code; over the same connection. */
async function answers(client: RawClient, code: number, lines = EDITOR): Promise<RawAnswer> {
  return eventually(`an answer ${code}`, 10_000, async () => {
    const answer = await client.ask('PUT', START, lines)
    return answer.code === code && answer
  })
}

function setTrust(data: Record<string, string>): Promise<object> {
  const path = `${MAP}/${TRUST}`
  const body = { data }
  return objects.client.call({ method: 'PATCH', path, body, contentType: 'application/merge-patch+json' })
}

/** Held through all tests: nothing of what follows may cost a connection. */
let held: RawClient

test('A4: without the ConfigMap it is live and says what is missing, to probes and to those it refuses', async () => {
  held = await connect(server.url, proxy)
  expect((await held.ask('GET', '/livez', [])).code).toBe(200)
  expect((await held.ask('GET', '/apis/subresources.kubevirt.io/v1', [])).code).toBe(200)
  const missing =
    /no request-header CA: ConfigMap kube-system\/extension-apiserver-authentication does not exist/
  const ready = await eventually('it has looked for the ConfigMap', 10_000, async () => {
    const answer = await held.ask('GET', '/readyz', [])
    return answer.body.includes('does not exist') && answer
  })
  expect(ready.code).toBe(500)
  expect(ready.body).toMatch(/^\[-\]front-proxy failed: no request-header CA/m)
  expect(ready.body).toMatch(/^\[\+\]serving-certificate ok$/m)
  const refused = await held.ask('PUT', START, EDITOR)
  expect(refused.code).toBe(401)
  expect(messageOf(refused)).toMatch(missing)
})

test('A4: without the key it says which key', async () => {
  const data = trustData(ca.cert, { 'requestheader-client-ca-file': undefined })
  await post(MAP, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: TRUST }, data })
  const message = await eventually('the ConfigMap is seen', 10_000, async () => {
    const text = messageOf(await held.ask('PUT', START, EDITOR))
    return !text.includes('does not exist') && text
  })
  expect(message).toMatch(
    /no request-header CA: .* has no key requestheader-client-ca-file; start kube-apiserver with/,
  )
})

test('A4: once the ConfigMap is whole, forwarded requests are served on the connections there are', async () => {
  await setTrust(trustData(ca.cert))
  // There is no such VM: whoever gets this far was known, and allowed by the Kubernetes API.
  expect(messageOf(await answers(held, 404))).toContain('"vm1" not found')
  const ready = await held.ask('GET', '/readyz?verbose', [])
  expect(ready).toMatchObject({ code: 200, body: expect.stringContaining('[+]front-proxy ok') })
})

test('the Kubernetes API decides by the user and the groups that were forwarded', async () => {
  const refused = await held.ask('PUT', START, ['X-Remote-User: joe', 'X-Remote-Group: editors,others'])
  expect(refused.code).toBe(403)
  expect(messageOf(refused)).toContain('User "joe" cannot update resource "virtualmachines/start"')
})

test('CE-4, CVE-2025-64432: another name of the same authority is refused', async () => {
  const client = await connect(server.url, await ca.issue({ usage: 'client', commonName: 'kubelet' }))
  const refused = await client.ask('PUT', START, EDITOR)
  expect(refused.code).toBe(401)
  expect(messageOf(refused)).toContain('none of requestheader-allowed-names')
})

test('a new authority is believed without a restart, the old one no more', async () => {
  const next = await makeAuthority('front proxy authority, second')
  const renewed = await connect(
    server.url,
    await next.issue({ usage: 'client', commonName: 'front-proxy-client' }),
  )
  expect((await renewed.ask('PUT', START, EDITOR)).code).toBe(401)
  await setTrust(trustData(ca.cert + next.cert))
  await answers(renewed, 404)
  expect((await held.ask('PUT', START, EDITOR)).code).toBe(404)
  await setTrust(trustData(next.cert))
  await answers(held, 401)
  expect((await renewed.ask('PUT', START, EDITOR)).code).toBe(404)
  await setTrust(trustData(ca.cert))
  await answers(held, 404)
})

interface ReviewAnswer {
  response: { allowed: boolean; status?: { message: string }; patch?: string }
}

const VMI = {
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachineInstance',
  metadata: { name: 'vmi1', namespace: 'default' },
  spec: { domain: { devices: {}, resources: { requests: { memory: '64Mi' } } } },
}

async function review(client: RawClient, path: string, object: object): Promise<RawAnswer> {
  const request = {
    uid: 'u1',
    operation: 'CREATE',
    kind: { group: 'kubevirt.io', version: 'v1', kind: 'VirtualMachineInstance' },
    resource: { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachineinstances' },
    namespace: 'default',
    userInfo: { username: 'jane' },
    object,
  }
  return client.send('POST', path, { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request })
}

test('D1, D2: webhooks are answered to holders of a certificate of their authority, and to nobody else', async () => {
  const path = '/virtualmachineinstances-mutate'
  const good = await webhookCa.issue({ usage: 'client', commonName: 'kube-apiserver' })
  const answer = await review(await connect(server.webhookUrl, good), path, VMI)
  expect(answer.code).toBe(200)
  expect(JSON.parse(answer.body)).toMatchObject({ response: { uid: 'u1', allowed: true } })
  for (const pair of [{}, proxy, await webhookCa.issue({ usage: 'server', commonName: 'kube-apiserver' })]) {
    const refused = await review(await connect(server.webhookUrl, pair), path, VMI)
    expect(refused.code).toBe(401)
  }
  const api = await review(await connect(server.url, good), path, VMI)
  expect([401, 404]).toContain(api.code)
})

test('webhooks judge by the KubeVirt object and the presets as they are now', async () => {
  const good = await webhookCa.issue({ usage: 'client', commonName: 'kube-apiserver' })
  const client = await connect(server.webhookUrl, good)
  const patchOf = async () => {
    const { body } = await review(client, '/virtualmachineinstances-mutate', VMI)
    return Buffer.from((JSON.parse(body) as ReviewAnswer).response.patch ?? '', 'base64').toString()
  }
  expect(await patchOf()).not.toContain('pc-q35-7.2')
  // Without a phase the object does not count.
  const path = '/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt'
  const merge = (suffix: string, body: object) =>
    objects.client.call<object>({
      method: 'PATCH',
      path: path + suffix,
      body,
      contentType: 'application/merge-patch+json',
    })
  await merge('', { spec: { configuration: { machineType: 'pc-q35-7.2' } } })
  await merge('/status', { status: { phase: 'Deployed', defaultArchitecture: 'amd64' } })
  await eventually('the machine type is taken up', 10_000, async () =>
    (await patchOf()).includes('pc-q35-7.2'),
  )

  await merge('', { spec: { configuration: { machineType: 'q35', imagePullPolicy: 'Sometimes' } } })
  await eventually('the fault is noticed', 10_000, async () => {
    expect(await patchOf()).toContain('pc-q35-7.2')
    return log.lines.some(({ text }) => text.includes('the one before stays'))
  })

  await post('/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstancepresets', {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstancePreset',
    metadata: { name: 'p' },
    spec: { selector: {}, domain: { devices: {}, cpu: { cores: 3 } } },
  })
  await eventually('the preset is taken up', 10_000, async () => (await patchOf()).includes('"cores":3'))
})
