import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { importGuest } from '../../src/guest/guest-image.ts'
import type { KubeClient } from '../../src/kube/client.ts'
import { openImageStore } from '../../src/worker/images/store.ts'
import { guestAssets } from './guest.ts'
import type { ObjectServer } from './object-server.ts'
import { startRole, type Flags, type RoleProcess } from './role-process.ts'
import { silentLog } from './worker.ts'

const COMMON = { 'log-level': 'info' }

/** A place for workers, with the image of the small guest. It goes with `stack`. */
export async function makeHome(stack: AsyncDisposableStack): Promise<string> {
  const home = await mkdtemp('/tmp/virtgate-role-')
  stack.defer(() => rm(home, { recursive: true, force: true }))
  // QEMU's own user has to pass through.
  await chmod(home, 0o711)
  await using images = await openImageStore({ dir: join(home, 'images'), log: silentLog })
  await importGuest(images, await guestAssets())
  return home
}

/** As an administrator of a cluster without KVM does it. */
export async function allowEmulation(client: KubeClient): Promise<void> {
  await client.call({
    method: 'PATCH',
    path: '/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt',
    contentType: 'application/merge-patch+json',
    body: { spec: { configuration: { developerConfiguration: { useEmulation: true } } } },
  })
}

/** A worker of that node below `home`; the object server has to have a certificate for it. */
export function startWorker(
  { certificates }: ObjectServer,
  home: string,
  node: string,
  flags: Flags = {},
): Promise<RoleProcess> {
  const { cert, key, ca } = certificates.files(`worker-${node}`)
  return startRole('worker', {
    ...COMMON,
    node,
    listen: '127.0.0.1:0',
    state: join(home, node),
    run: join(home, `run-${node}`),
    images: join(home, 'images'),
    'tls-cert': cert,
    'tls-key': key,
    'client-ca': ca,
    ...flags,
  })
}

/** Where a worker says that it listens. */
export function addressOf({ ready }: RoleProcess): string {
  const { listening } = JSON.parse(ready) as { listening: number }
  return `127.0.0.1:${listening}`
}

/** A controller that keeps the Node objects; `flags` say which workers there are. */
export async function startController(objects: ObjectServer, flags: Flags): Promise<RoleProcess> {
  const { cert, key, ca } = objects.certificates.files('controller')
  return startRole('controller', {
    ...COMMON,
    kubeconfig: await objects.kubeconfigOf('kubevirt', 'kubevirt-controller'),
    'own-nodes': true,
    'tls-cert': cert,
    'tls-key': key,
    'worker-ca': ca,
    ...flags,
  })
}
