import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openKubeClient, type KubeClient } from '../../src/kube/client.ts'
import type { ObjectServer } from './object-server.ts'
import { servingPair, type TestAuthority } from './pki.ts'
import { startRole, type Flags, type RoleProcess } from './role-process.ts'

/** Files of a certificate and its key. */
export interface PairFiles {
  cert: string
  key: string
}

/** Writes a serving pair that `authority` has signed, and answers where. */
export async function writeServingPair({ dir }: ObjectServer, authority: TestAuthority): Promise<PairFiles> {
  return writePair(dir, 'serving', await servingPair(authority))
}

/** An API server that shows this pair and believes clients of `authority`. */
export async function startApiServer(
  objects: ObjectServer,
  authority: TestAuthority,
  serving: PairFiles,
  more: Flags,
): Promise<RoleProcess> {
  const clientCa = join(objects.dir, 'client-ca.crt')
  await writeFile(clientCa, authority.cert)
  const { cert, key, ca } = objects.certificates.files('apiserver')
  return startRole('apiserver', {
    'log-level': 'info',
    kubeconfig: await objects.kubeconfigOf('kubevirt', 'kubevirt-apiserver'),
    listen: '127.0.0.1:0',
    'tls-cert': serving.cert,
    'tls-key': serving.key,
    'client-ca': clientCa,
    'worker-cert': cert,
    'worker-key': key,
    'worker-ca': ca,
    ...more,
  })
}

/** Writes a pair into a directory and answers where. */
export async function writePair(dir: string, name: string, pair: { cert: string; key: string }) {
  const files = { cert: join(dir, `${name}.crt`), key: join(dir, `${name}.key`) }
  await writeFile(files.key, pair.key)
  await writeFile(files.cert, pair.cert)
  return files
}

/** Two service accounts of the namespace `default`: `editor`, who may change VMs, and `guest`. */
export async function createAccounts(client: KubeClient): Promise<void> {
  for (const name of ['editor', 'guest']) {
    const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } }
    await client.call({ method: 'POST', path: '/api/v1/namespaces/default/serviceaccounts', body })
  }
  await client.call({
    method: 'POST',
    path: '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings',
    body: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'editors' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'kubevirt.io:edit' },
      subjects: [{ kind: 'ServiceAccount', namespace: 'default', name: 'editor' }],
    },
  })
}

/** A client of an API server that knows itself by the token of a service account of `default`. */
export async function clientOf(
  objects: ObjectServer,
  apiserver: RoleProcess,
  authority: TestAuthority,
  account: string,
): Promise<KubeClient> {
  const token = await objects.tokenOf('default', account)
  const server = /https:\S+/.exec(apiserver.ready)?.[0] ?? ''
  return openKubeClient({
    server,
    namespace: 'default',
    tls: { ca: authority.cert },
    token: async () => token,
  })
}
