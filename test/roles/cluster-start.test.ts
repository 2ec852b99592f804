import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeAuthority } from '../helpers/pki.ts'
import { runRole, type Flags } from '../helpers/role-process.ts'

let dir: string
let flags: Flags

beforeAll(async () => {
  dir = await mkdtemp('/tmp/virtgate-start-')
  const { cert, key } = await makeAuthority()
  await writeFile(join(dir, 'tls.crt'), cert)
  await writeFile(join(dir, 'tls.key'), key)
  flags = {
    'tls-cert': join(dir, 'tls.crt'),
    'tls-key': join(dir, 'tls.key'),
    'worker-ca': join(dir, 'tls.crt'),
    // Nobody listens there.
    node: 'node01=127.0.0.1:9',
    kubeconfig: await writeConfig('https://127.0.0.1:9'),
  }
})
afterAll(() => rm(dir, { recursive: true }))

async function writeConfig(server: string): Promise<string> {
  const file = join(dir, `${new URL(server).port}.kubeconfig`)
  const clusters = [{ name: 'c', cluster: { server } }]
  const contexts = [{ name: 'x', context: { cluster: 'c' } }]
  await writeFile(file, JSON.stringify({ clusters, contexts, 'current-context': 'x' }))
  return file
}

test('a role that lacks an option says which, and ends with 1', async () => {
  const { 'worker-ca': _ca, ...rest } = flags
  const { code, stderr } = await runRole('controller', rest)
  expect(stderr).toContain('give --tls-cert, --tls-key, --worker-ca together, or none of them')
  expect(code).toBe(1)
})

test('a role whose certificate is not there names the file, and ends with 1', async () => {
  const { code, stderr } = await runRole('controller', { ...flags, 'tls-cert': '/nowhere/tls.crt' })
  expect(stderr).toContain('/nowhere/tls.crt')
  expect(code).toBe(1)
})

test('a role that does not reach the Kubernetes API says so, and ends with 1', async () => {
  const worker = { 'worker-cert': join(dir, 'tls.crt'), 'worker-key': join(dir, 'tls.key') }
  const { code, stderr } = await runRole('apiserver', { ...flags, ...worker, listen: '127.0.0.1:0' })
  expect(stderr).toContain('cannot reach the Kubernetes API at https://127.0.0.1:9')
  expect(code).toBe(1)
})

test('a role whose Kubernetes API has no VMs says what to install, and ends with 1', async () => {
  const empty = createServer((_request, response) => response.writeHead(404).end('404 page not found'))
  empty.listen(0, '127.0.0.1')
  await once(empty, 'listening')
  // It listens on a port, not on a socket in the file system.
  const { port } = empty.address() as AddressInfo
  const kubeconfig = await writeConfig(`http://127.0.0.1:${port}`)
  const { code, stderr } = await runRole('controller', { ...flags, kubeconfig })
  empty.close()
  expect(stderr).toContain('does not serve kubevirt.io/v1: install the CustomResourceDefinitions first')
  expect(code).toBe(1)
})
