import { execFile } from 'node:child_process'
import { chmod, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { buildFiles } from '../../../apiservice/files.ts'
import { DEFAULTS } from '../../../apiservice/manifest.ts'
import { importGuest } from '../../../src/guest/guest-image.ts'
import { openImageStore } from '../../../src/worker/images/store.ts'
import { guestAssets } from '../guest.ts'
import { startRole, type Flags, type RoleProcess } from '../role-process.ts'
import { guestPids } from '../server.ts'
import { silentLog } from '../worker.ts'
import type { ControlPlane } from './control-plane.ts'
import { allowEmulation, backendsOf } from './installation.ts'
import { apply } from './kubectl.ts'
import { applyObjects, awaitAvailable, awaitWebhooks, INSTALL_NAMESPACE } from './objects.ts'
import { openServiceProxy } from './service-proxy.ts'

const MAIN = new URL('../../../src/virtgate.mjs', import.meta.url).pathname

/** virtgate in a cluster with certificates that it makes itself, and a worker that has enrolled. */
export interface SelfMade extends AsyncDisposable {
  /** Where workers enrol. */
  enrolUrl: string
  /** The process of the worker, and directories of its own. */
  worker: RoleProcess
  /** What `virtgate token create` prints. */
  createToken(...args: string[]): Promise<string>
  /** Asks for new authorities, both of them. */
  rotate(): Promise<void>
}

/** Installs everything; `policy` are options of the controller that say how long certificates last. */
export async function installSelfMade(plane: ControlPlane, node: string, policy: Flags): Promise<SelfMade> {
  await using stack = new AsyncDisposableStack()
  const clusterIp = await applyObjects(plane)
  await allowEmulation(plane)
  const start = async (role: string, flags: Flags) =>
    stack.use(await startRole(role, { 'log-level': 'info', ...flags }))
  const as = async (name: string) => (await plane.serviceAccount(INSTALL_NAMESPACE, name)).kubeconfig
  const controller = await start('controller', {
    kubeconfig: await as('kubevirt-controller'),
    'own-nodes': true,
    'enroll-listen': '127.0.0.1:0',
    ...policy,
  })
  const apiServer = await start('apiserver', {
    kubeconfig: await as('kubevirt-apiserver'),
    listen: '127.0.0.1:0',
    'webhook-listen': '127.0.0.1:0',
    drain: '1',
  })
  const [enrolUrl = ''] = /https:\/\/127\.0\.0\.1:\d+$/.exec(controller.ready) ?? []
  const createToken = async (...args: string[]) => {
    const command = [MAIN, '--kubeconfig', plane.admin.kubeconfig, 'token', 'create', ...args]
    return (await promisify(execFile)(process.execPath, command)).stdout.trim()
  }
  const home = await makeHome(plane, stack)
  const worker = await start('worker', {
    node,
    listen: '127.0.0.1:0',
    state: join(home, 'state'),
    run: join(home, 'run'),
    images: join(home, 'images'),
    controller: enrolUrl,
    'join-token': await createToken('--node', node),
  })
  stack.use(await openServiceProxy(clusterIp, [443, 9443], () => backendsOf([apiServer])))
  // Without a caBundle: the controller writes it.
  const files = buildFiles(DEFAULTS)
  await apply(plane.admin, [...(files.get('api-services.yaml') ?? []), ...(files.get('webhooks.yaml') ?? [])])
  await awaitAvailable(plane)
  await awaitWebhooks(plane)
  const open = stack.move()
  let rotations = 0
  return {
    enrolUrl,
    worker,
    createToken,
    async rotate() {
      rotations += 1
      for (const name of ['virtgate-serving-ca', 'virtgate-internal-ca']) {
        await plane.admin.client.call({
          method: 'PATCH',
          path: `/api/v1/namespaces/${INSTALL_NAMESPACE}/secrets/${name}`,
          contentType: 'application/merge-patch+json',
          body: { metadata: { annotations: { 'virtgate.io/renew': String(rotations) } } },
        })
      }
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

async function makeHome(plane: ControlPlane, stack: AsyncDisposableStack): Promise<string> {
  const home = join(plane.dir, 'worker')
  await mkdir(home)
  stack.defer(async () => {
    for (const pid of guestPids(home)) process.kill(pid, 'SIGKILL')
    await rm(home, { recursive: true, force: true })
  })
  // QEMU's own user has to pass through.
  for (const folder of [plane.dir, home]) await chmod(folder, 0o711)
  await using images = await openImageStore({ dir: join(home, 'images'), log: silentLog })
  await importGuest(images, await guestAssets())
  return home
}
