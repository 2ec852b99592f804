import { mkdtemp, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { writeKubeconfig } from '../../certs/kubeconfig.ts'
import { loadKubeconfig } from '../../src/kube/config.ts'

test('our own client reads what is written, and nobody else may', async () => {
  const file = join(await mkdtemp(join(tmpdir(), 'virtgate-kubeconfig-')), 'kubeconfig')
  await writeFile(file, 'an older one that all may read')
  await writeKubeconfig(file, {
    server: 'https://[::1]:6443',
    ca: 'CA\n',
    clientCert: 'CERT\n',
    clientKey: 'KEY\n',
    namespace: 'default',
  })
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  const config = await loadKubeconfig({ path: file })
  expect(config.server).toBe('https://[::1]:6443')
  expect(config.namespace).toBe('default')
  expect(config.tls).toEqual({ ca: 'CA\n', cert: 'CERT\n', key: 'KEY\n' })
})
