import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openCertificateStore, type CertificateStore } from '../../../certs/store.ts'
import { importGuest } from '../../../src/guest/guest-image.ts'
import { openImageStore } from '../../../src/worker/images/store.ts'
import { guestAssets } from '../guest.ts'
import { startRole, type Flags, type RoleProcess } from '../role-process.ts'
import { guestPids } from '../server.ts'
import { silentLog } from '../worker.ts'
import type { ControlPlane } from './control-plane.ts'
import { applyObjects, applyRegistrations, awaitAvailable, INSTALL_NAMESPACE } from './objects.ts'
import { openServiceProxy, type ServiceProxy } from './service-proxy.ts'

/** How an installation is to be. */
export interface InstallationOptions {
  /** Nodes with a worker that boots guests. */
  nodes?: readonly string[]
  /** Replicas. One each where absent. */
  apiServers?: number
  controllers?: number
  /** More options of each controller. */
  controllerFlags?: Flags
}

/** virtgate in a cluster: processes of its own, known to a real kube-apiserver. */
export interface Installation extends AsyncDisposable {
  /** Signs what our API servers show. */
  certificates: CertificateStore
  /** What the Service leads to: take one out, put another in. */
  apiServers: RoleProcess[]
  controllers: RoleProcess[]
  workers: Map<string, RoleProcess>
  proxy: ServiceProxy
  startApiServer(more?: Flags): Promise<RoleProcess>
  startController(more?: Flags): Promise<RoleProcess>
  /** QEMU processes of all workers. */
  guests(): number[]
}

/** Where a process of ours listens. */
export interface ApiServerPorts {
  api: number
  webhooks: number
}

/** The ports that an API server has said it is ready with. */
export function portsOf({ ready }: Pick<RoleProcess, 'ready'>): ApiServerPorts {
  const [api = 0, webhooks = 0] = [...ready.matchAll(/https:\/\/\S+:(\d+)/g)].map(([, port]) => Number(port))
  return { api, webhooks }
}

/** Installs everything and starts all processes; waits until kube-apiserver has found them. */
export async function installVirtgate(
  plane: ControlPlane,
  { nodes = [], apiServers = 1, controllers = 1, controllerFlags = {} }: InstallationOptions = {},
): Promise<Installation> {
  await using stack = new AsyncDisposableStack()
  const clusterIp = await applyObjects(plane)
  await allowEmulation(plane)
  const starter = stack.use(await Starter.open(plane, nodes))
  const workers = new Map<string, RoleProcess>()
  for (const node of nodes) workers.set(node, await starter.worker(node))
  await starter.writeNodes(workers)
  const running = { apiServers: [] as RoleProcess[], controllers: [] as RoleProcess[] }
  const startApiServer = async (more: Flags = {}) => {
    const started = await starter.apiServer(more)
    running.apiServers.push(started)
    return started
  }
  const startController = async (more: Flags = {}) => {
    const started = await starter.controller({ ...controllerFlags, ...more })
    running.controllers.push(started)
    return started
  }
  for (let count = 0; count < apiServers; count++) await startApiServer()
  for (let count = 0; count < controllers; count++) await startController()
  const proxy = stack.use(
    await openServiceProxy(clusterIp, [443, 9443], () => backendsOf(running.apiServers)),
  )
  await applyRegistrations(plane, starter.certificates.current().ca)
  await awaitAvailable(plane)
  const open = stack.move()
  return {
    ...running,
    certificates: starter.certificates,
    workers,
    proxy,
    startApiServer,
    startController,
    guests: () => guestPids(starter.dir),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

/** The ports of pods, by the ports of the Service. */
export function backendsOf(apiServers: readonly RoleProcess[]): Map<number, number[]> {
  const ports = apiServers.map(portsOf)
  return new Map([
    [443, ports.map(({ api }) => api)],
    [9443, ports.map(({ webhooks }) => webhooks)],
  ])
}

/** As an administrator of a cluster without KVM does it. */
export async function allowEmulation({ admin }: ControlPlane): Promise<void> {
  await admin.client.call({
    method: 'POST',
    path: `/apis/kubevirt.io/v1/namespaces/${INSTALL_NAMESPACE}/kubevirts`,
    body: {
      apiVersion: 'kubevirt.io/v1',
      kind: 'KubeVirt',
      metadata: { name: 'kubevirt' },
      spec: { configuration: { developerConfiguration: { useEmulation: true } } },
    },
  })
}

/** Knows with what our processes are started. */
class Starter implements AsyncDisposable {
  readonly dir: string
  readonly certificates: CertificateStore
  readonly #plane: ControlPlane
  readonly #nodes: string
  readonly #processes = new AsyncDisposableStack()

  private constructor(plane: ControlPlane, dir: string, certificates: CertificateStore) {
    this.#plane = plane
    this.dir = dir
    this.#nodes = join(dir, 'nodes.yaml')
    this.certificates = certificates
  }

  static async open(plane: ControlPlane, nodes: readonly string[]): Promise<Starter> {
    const dir = join(plane.dir, 'virtgate')
    await mkdir(dir)
    // QEMU's own user has to pass through.
    for (const folder of [plane.dir, dir]) await chmod(folder, 0o711)
    const certificates = await openCertificateStore({
      dir: join(dir, 'pki'),
      hosts: ['127.0.0.1', `virt-api.${INSTALL_NAMESPACE}.svc`],
      workers: nodes,
      onError: () => {},
    })
    return new Starter(plane, dir, certificates)
  }

  /** Ends all processes, guests included. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes.disposeAsync()
    for (const pid of guestPids(this.dir)) process.kill(pid, 'SIGKILL')
    this.certificates[Symbol.dispose]()
    await rm(this.dir, { recursive: true, force: true })
  }

  /** Roles read again from here where the workers are. */
  async writeNodes(workers: ReadonlyMap<string, RoleProcess>): Promise<void> {
    const lines = [...workers].map(([name, { ready }]) => {
      const { listening } = JSON.parse(ready) as { listening: number }
      return `- {name: ${name}, address: "127.0.0.1:${listening}"}\n`
    })
    await writeFile(this.#nodes, lines.length > 0 ? lines.join('') : '[]\n')
  }

  async worker(node: string): Promise<RoleProcess> {
    const home = join(this.dir, node)
    await mkdir(home, { mode: 0o711 })
    const images = join(home, 'images')
    {
      await using store = await openImageStore({ dir: images, log: silentLog })
      await importGuest(store, await guestAssets())
    }
    const { cert, key, ca } = this.certificates.files(`worker-${node}`)
    return this.#start('worker', {
      node,
      listen: '127.0.0.1:0',
      state: join(home, 'state'),
      run: join(home, 'run'),
      images,
      'tls-cert': cert,
      'tls-key': key,
      'client-ca': ca,
    })
  }

  async controller(more: Flags): Promise<RoleProcess> {
    const { cert, key, ca } = this.certificates.files('controller')
    const { kubeconfig } = await this.#plane.serviceAccount(INSTALL_NAMESPACE, 'kubevirt-controller')
    return this.#start('controller', {
      kubeconfig,
      nodes: this.#nodes,
      'own-nodes': true,
      'tls-cert': cert,
      'tls-key': key,
      'worker-ca': ca,
      ...more,
    })
  }

  async apiServer(more: Flags): Promise<RoleProcess> {
    const { cert, key, ca } = this.certificates.files('apiserver')
    const serving = this.certificates.files('serving')
    const { kubeconfig } = await this.#plane.serviceAccount(INSTALL_NAMESPACE, 'kubevirt-apiserver')
    return this.#start('apiserver', {
      kubeconfig,
      listen: '127.0.0.1:0',
      'webhook-listen': '127.0.0.1:0',
      drain: '1',
      nodes: this.#nodes,
      'tls-cert': serving.cert,
      'tls-key': serving.key,
      'worker-cert': cert,
      'worker-key': key,
      'worker-ca': ca,
      ...more,
    })
  }

  async #start(role: string, flags: Flags): Promise<RoleProcess> {
    const started = await startRole(role, { 'log-level': 'info', ...flags })
    this.#processes.defer(async () => void (await started.stop('SIGKILL')))
    return started
  }
}
