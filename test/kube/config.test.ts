import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadKubeconfig } from '../../src/kube/config.ts'
import { isInCluster, loadInClusterConfig } from '../../src/kube/in-cluster.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')

async function fileWith(parts: { cluster?: object; user?: object; context?: object } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'virtgate-kube-'))
  const path = join(folder, 'config')
  // JSON is YAML.
  const config = {
    clusters: [{ name: 'c', cluster: { server: 'https://api.test:6443/', ...parts.cluster } }],
    users: [{ name: 'u', user: parts.user ?? {} }],
    contexts: [{ name: 'ctx', context: { cluster: 'c', user: 'u', ...parts.context } }],
    'current-context': 'ctx',
  }
  await writeFile(path, JSON.stringify(config))
  return { folder, path }
}

test('certificates stand in the file, or in files beside it', async () => {
  const { folder, path } = await fileWith({
    cluster: { 'certificate-authority': 'ca.crt', 'tls-server-name': 'api.test' },
    user: { 'client-certificate-data': base64('CERT'), 'client-key': 'me.key' },
  })
  await writeFile(join(folder, 'ca.crt'), 'CA')
  await writeFile(join(folder, 'me.key'), 'KEY')
  const config = await loadKubeconfig({ path })
  expect(config).toMatchObject({
    server: 'https://api.test:6443',
    namespace: 'default',
    tls: { ca: 'CA', cert: 'CERT', key: 'KEY', servername: 'api.test' },
  })
  expect(await config.token()).toBeUndefined()
})

test('a token file is read again', async () => {
  const { folder, path } = await fileWith({ user: { tokenFile: 'token' }, context: { namespace: 'dev' } })
  await writeFile(join(folder, 'token'), 'one\n')
  const config = await loadKubeconfig({ env: { KUBECONFIG: path } })
  expect(config.namespace).toBe('dev')
  expect(await config.token()).toBe('one')
  await writeFile(join(folder, 'token'), 'two\n')
  expect(await config.token()).toBe('two')
})

test('verification is off only where the file says so', async () => {
  const strict = await loadKubeconfig({ path: (await fileWith()).path })
  expect(strict.tls).toEqual({})
  const { path } = await fileWith({ cluster: { 'insecure-skip-tls-verify': true } })
  expect((await loadKubeconfig({ path })).tls).toEqual({ rejectUnauthorized: false })
})

test('a plugin is run for its token', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'virtgate-kube-'))
  const plugin = join(folder, 'plugin')
  const answer = {
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    status: { token: 'from-plugin' },
  }
  await writeFile(plugin, `#!/bin/sh\necho '${JSON.stringify(answer)}'\n`)
  await chmod(plugin, 0o755)
  const exec = { apiVersion: answer.apiVersion, command: plugin, interactiveMode: 'Never' }
  const { path } = await fileWith({ user: { exec } })
  const config = await loadKubeconfig({ path })
  expect(await config.token()).toBe('from-plugin')
})

test.each([
  ['a proxy', { cluster: { 'proxy-url': 'socks5://x' } }, undefined, '"proxy-url", which is not supported'],
  ['no server', { cluster: { server: '' } }, undefined, 'has no "server"'],
  ['a context that is not there', {}, 'other', 'has no context "other"'],
  ['a cluster that is not there', { context: { cluster: 'x' } }, undefined, 'has no cluster "x"'],
])('%s is refused with a reason', async (_case, parts, context, message) => {
  const { path } = await fileWith(parts)
  await expect(loadKubeconfig({ path, context })).rejects.toThrow(message)
})

test('a kubeconfig that is not there is named', async () => {
  await expect(loadKubeconfig({ path: '/nowhere/config' })).rejects.toThrow(
    'cannot read the kubeconfig /nowhere/config',
  )
})

test('a pod finds its cluster', async () => {
  const mount = join(await mkdtemp(join(tmpdir(), 'virtgate-pod-')), 'serviceaccount')
  const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' }
  expect(await isInCluster(env, mount)).toBe(false)
  await expect(loadInClusterConfig(env, mount)).rejects.toThrow('does the pod mount a service account token?')
  await mkdir(mount)
  for (const [name, text] of Object.entries({ 'ca.crt': 'CA', namespace: 'kubevirt\n', token: 'one\n' })) {
    await writeFile(join(mount, name), text)
  }
  expect(await isInCluster(env, mount)).toBe(true)
  expect(await isInCluster({}, mount)).toBe(false)
  const config = await loadInClusterConfig(env, mount)
  expect(config).toMatchObject({ server: 'https://[fd00::1]:6443', namespace: 'kubevirt', tls: { ca: 'CA' } })
  expect(await config.token()).toBe('one')
  await writeFile(join(mount, 'token'), 'two\n')
  expect(await config.token()).toBe('two')
  await expect(loadInClusterConfig({}, mount)).rejects.toThrow('this is no pod')
})
