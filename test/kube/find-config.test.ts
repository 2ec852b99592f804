import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findConfig } from '../../src/kube/find-config.ts'

const POD = { KUBERNETES_SERVICE_HOST: '10.0.0.1' }

/** A folder with a kubeconfig that has two contexts, and with what a pod gets. */
function openFolder() {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'virtgate-find-'))
  const named = ['a', 'b']
  const config = {
    clusters: named.map((name) => ({ name, cluster: { server: `https://${name}.test` } })),
    users: [{ name: 'u', user: {} }],
    contexts: named.map((name) => ({ name, context: { cluster: name, user: 'u' } })),
    'current-context': 'a',
  }
  const kubeconfig = join(folder.path, 'config')
  writeFileSync(kubeconfig, JSON.stringify(config))
  for (const name of ['token', 'ca.crt', 'namespace']) writeFileSync(join(folder.path, name), name)
  return { kubeconfig, mount: folder.path, [Symbol.dispose]: () => folder.remove() }
}

test('a pod acts as its account, unless a kubeconfig is named', async () => {
  using folder = openFolder()
  const { kubeconfig, mount } = folder
  const serverOf = async (choice: object, env: NodeJS.ProcessEnv) =>
    (await findConfig(choice, env, mount)).server
  expect(await serverOf({}, POD)).toBe('https://10.0.0.1:443')
  expect(await serverOf({ kubeconfig }, POD)).toBe('https://a.test')
  expect(await serverOf({ kubeconfig, context: 'b' }, POD)).toBe('https://b.test')
  expect(await serverOf({}, { ...POD, KUBECONFIG: kubeconfig })).toBe('https://a.test')
})

test('outside of a pod a kubeconfig is read, whatever lies about', async () => {
  using folder = openFolder()
  const config = await findConfig({}, { KUBECONFIG: folder.kubeconfig }, folder.mount)
  expect(config.server).toBe('https://a.test')
  await expect(findConfig({ kubeconfig: '/nowhere' }, POD, folder.mount)).rejects.toThrow('/nowhere')
})
