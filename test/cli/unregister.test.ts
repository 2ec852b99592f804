import { once } from 'node:events'
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { expect, test } from 'vitest'
import { addUnregister } from '../../src/cli/commands/unregister.ts'

const ADMISSION = '/apis/admissionregistration.k8s.io/v1'
const WEBHOOKS = [
  `${ADMISSION}/validatingwebhookconfigurations/virt-api-validator`,
  `${ADMISSION}/mutatingwebhookconfigurations/virt-api-mutator`,
]
const API_SERVICES = ['v1', 'v1alpha3'].map(
  (version) => `/apis/apiregistration.k8s.io/v1/apiservices/${version}.subresources.kubevirt.io`,
)
const KUBEVIRTS = '/apis/kubevirt.io/v1/kubevirts'
const GUESTS = '/apis/kubevirt.io/v1/virtualmachineinstances'

function objects(namespace = 'kubevirt'): Map<string, object> {
  const service = { name: 'virt-api', namespace }
  return new Map<string, object>([
    ...WEBHOOKS.map((path): [string, object] => [path, { webhooks: [{ clientConfig: { service } }] }]),
    ...API_SERVICES.map((path): [string, object] => [path, { spec: { service } }]),
    [KUBEVIRTS, { items: [{ spec: { uninstallStrategy: 'BlockUninstallIfWorkloadsExist' } }] }],
    [GUESTS, { items: [] }],
  ])
}

/** Runs the command against an API that holds the objects. */
async function unregister(held: Map<string, object>, ...args: string[]) {
  const deleted: string[] = []
  const answer = ({ method, url = '' }: IncomingMessage, response: ServerResponse) => {
    const path = url.split('?', 1)[0] ?? ''
    const object = held.get(path)
    if (object && method === 'DELETE') {
      held.delete(path)
      deleted.push(path)
    }
    response.writeHead(object ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(object ?? { kind: 'Status', code: 404, reason: 'NotFound', message: 'none' }))
  }
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  using directory = mkdtempDisposableSync(join(tmpdir(), 'virtgate-unregister-'))
  const kubeconfig = join(directory.path, 'config')
  const { port } = server.address() as AddressInfo
  const config = {
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
    clusters: [{ name: 'k', cluster: { server: `http://127.0.0.1:${port}` } }],
    users: [{ name: 'u', user: { token: 't' } }],
  }
  writeFileSync(kubeconfig, JSON.stringify(config))
  const said: string[] = []
  const stdout = { write: (text: string) => said.push(text.trim()) > 0 }
  const program = new Command().exitOverride()
  // It writes to standard output alone.
  const context = { ...process, stdout: stdout as NodeJS.WritableStream, env: { KUBECONFIG: kubeconfig } }
  addUnregister(program, { ...context, signal: new AbortController().signal })
  try {
    await program.parseAsync(['unregister', ...args], { from: 'user' })
  } finally {
    server.closeAllConnections()
    server.close()
  }
  return { deleted, said }
}

test('webhooks go before APIServices', async () => {
  const { deleted, said } = await unregister(objects())
  expect(deleted).toEqual([...WEBHOOKS, ...API_SERVICES])
  expect(said[0]).toBe('validatingwebhookconfigurations/virt-api-validator is removed')
})

test('what is gone already is said, and no mistake', async () => {
  const { deleted, said } = await unregister(new Map())
  expect(deleted).toEqual([])
  expect(said).toContain('apiservices/v1.subresources.kubevirt.io is not there')
})

test('what leads to another installation is left alone', async () => {
  const { deleted, said } = await unregister(objects('elsewhere'))
  expect(deleted).toEqual([])
  expect(said.filter((line) => line.endsWith('it leads to the namespace elsewhere'))).toHaveLength(4)
})

test('guests keep it from being done, where the KubeVirt object says so', async () => {
  const held = objects()
  held.set(GUESTS, { items: [{ metadata: { namespace: 'team', name: 'vm' } }] })
  await expect(unregister(held)).rejects.toThrow('there are guests, such as team/vm')
  expect(held.has(API_SERVICES[0] ?? '')).toBe(true)
  expect((await unregister(held, '--force')).deleted).toHaveLength(4)
})

test('guests keep nobody from it where it says otherwise', async () => {
  const held = objects()
  held.set(GUESTS, { items: [{ metadata: { namespace: 'team', name: 'vm' } }] })
  held.set(KUBEVIRTS, { items: [{ spec: { uninstallStrategy: 'RemoveWorkloads' } }] })
  expect((await unregister(held)).deleted).toHaveLength(4)
})
