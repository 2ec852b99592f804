import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { randomInt } from 'node:crypto'
import { formatKubeconfig } from '../../../certs/kubeconfig.ts'
import { openKubeClient, type KubeClient } from '../../../src/kube/client.ts'
import { eventually } from '../server.ts'
import { startControllerManager, startKubeApiServer, type ApiServerPlace } from './api-server.ts'
import { readAudit, writeAuditPolicy, type AuditedRequest } from './audit.ts'
import type { Daemon } from './daemon.ts'
import { startEtcd, type Etcd } from './etcd.ts'
import { makeControlPlanePki, type ControlPlanePki } from './pki.ts'
import { freePorts } from './ports.ts'

/** A real control plane: etcd, kube-apiserver and kube-controller-manager, each a process of its own. */
export interface ControlPlane extends AsyncDisposable {
  /** Scratch space that goes with it. */
  dir: string
  url: string
  pki: ControlPlanePki
  etcd: Etcd
  /** As an administrator, past all rules. */
  admin: KubeUser
  /** A person with a client certificate. */
  user(name: string, groups?: readonly string[]): Promise<KubeUser>
  /** A service account, which has to be there, with a token that is good for a day. */
  serviceAccount(namespace: string, name: string): Promise<KubeUser>
  /** kube-apiserver of the moment. */
  apiServer(): Daemon
  controllerManager: Daemon
  /** Starts kube-apiserver anew on the same port and the same store, after it was stopped, and waits until it is ready. */
  restartApiServer(): Promise<void>
  /** All requests so far. */
  requests(): Promise<AuditedRequest[]>
}

/** Somebody who may call the API. */
export interface KubeUser {
  client: KubeClient
  /** Path of the kubeconfig. */
  kubeconfig: string
}

const READY_MS = 120_000

/** Starts one, and waits until it is ready. */
export async function startControlPlane(): Promise<ControlPlane> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp('/tmp/virtgate-plane-')
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  // All of 127.0.0.0/8 is this machine's, so that addresses of Services need no network; each run has a range of its own.
  const net = `127.${randomInt(64, 250)}.${randomInt(0, 250)}`
  const pki = await makeControlPlanePki(dir, `${net}.1`)
  await writeAuditPolicy(pki.file('audit-policy.yaml'))
  const [port = 0, ...etcdPorts] = await freePorts(3)
  const etcd = stack.use(startEtcd(dir, etcdPorts))
  const place = { dir, port, etcdUrl: etcd.url, serviceNet: `${net}.0/24`, pki }
  const url = `https://127.0.0.1:${port}`
  const users = stack.use(new Users(dir, url, pki))
  const admin = await users.holder('admin', ['system:masters'])
  let apiServer = startKubeApiServer(place)
  stack.defer(() => apiServer[Symbol.asyncDispose]())
  await awaitReady(apiServer, admin.client)
  const controllerManager = stack.use(startControllerManager(dir, pki, admin.kubeconfig))
  const open = stack.move()
  return {
    dir,
    url,
    pki,
    etcd,
    admin,
    user: (name, groups = []) => users.holder(name, groups),
    serviceAccount: (namespace, name) => users.bearer(admin.client, namespace, name),
    apiServer: () => apiServer,
    controllerManager,
    async restartApiServer() {
      apiServer = await startAgain(place, apiServer)
      await awaitReady(apiServer, admin.client)
    },
    requests: () => readAudit(pki.file('audit.log')),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

async function startAgain(place: ApiServerPlace, before: Daemon): Promise<Daemon> {
  if (!before.hasEnded()) throw new Error('stop kube-apiserver before it is started again')
  return startKubeApiServer(place)
}

async function awaitReady(apiServer: Daemon, client: KubeClient): Promise<void> {
  await eventually('kube-apiserver is ready', READY_MS, async () => {
    if (apiServer.hasEnded()) throw new Error(`kube-apiserver ended:\n${apiServer.tail()}`)
    const signal = AbortSignal.timeout(5_000)
    // Its answer is `ok`, and no JSON: what counts is that it is no refusal.
    return client.call({ method: 'GET', path: '/readyz', signal }).then(
      () => true,
      (error: unknown) => error instanceof SyntaxError,
    )
  })
}

/** Makes people and their kubeconfigs. */
class Users implements AsyncDisposable {
  readonly #dir: string
  readonly #url: string
  readonly #pki: ControlPlanePki
  readonly #clients = new AsyncDisposableStack()
  #made = 0

  constructor(dir: string, url: string, pki: ControlPlanePki) {
    this.#dir = dir
    this.#url = url
    this.#pki = pki
  }

  async holder(name: string, groups: readonly string[]): Promise<KubeUser> {
    const { ca } = this.#pki
    const pair = await ca.issue({ usage: 'client', commonName: name, organizations: groups })
    const text = formatKubeconfig({
      server: this.#url,
      ca: ca.cert,
      clientCert: pair.cert,
      clientKey: pair.key,
      namespace: 'default',
    })
    return this.#open(text, { ca: ca.cert, ...pair }, undefined)
  }

  async bearer(admin: KubeClient, namespace: string, name: string): Promise<KubeUser> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`
    const spec = { expirationSeconds: 24 * 60 * 60 }
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec }
    const { status }: { status: { token: string } } = await admin.call({ method: 'POST', path, body })
    const { cert } = this.#pki.ca
    const text = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'c',
          cluster: { server: this.#url, 'certificate-authority-data': Buffer.from(cert).toString('base64') },
        },
      ],
      users: [{ name: 'u', user: { token: status.token } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace } }],
      'current-context': 'x',
    })
    return this.#open(text, { ca: cert }, status.token)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#clients.disposeAsync()
  }

  async #open(text: string, tls: KubeClient['config']['tls'], token: string | undefined): Promise<KubeUser> {
    const kubeconfig = join(this.#dir, `user-${this.#made++}.kubeconfig`)
    await writeFile(kubeconfig, text, { mode: 0o600 })
    const client = openKubeClient({ server: this.#url, namespace: 'default', tls, token: async () => token })
    return { client: this.#clients.use(client), kubeconfig }
  }
}
