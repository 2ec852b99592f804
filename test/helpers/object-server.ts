import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openCertificateStore, type CertificateStore } from '../../certs/store.ts'
import { openSchemas } from '../../src/embedded/schemas/open.ts'
import { openKubeClient, type KubeClient } from '../../src/kube/client.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { Log } from '../../src/lib/log.ts'
import { openEmbeddedApi } from '../../src/roles/embedded-api.ts'
import { buildEmbeddedServer } from '../../src/roles/embedded-server.ts'
import { openRoleMetrics } from '../../src/roles/metrics.ts'
import { NodeDirectory } from '../../src/rpc/nodes.ts'
import { openEventRecorder } from '../../src/store/event-recorder.ts'
import { memoryLog } from './api.ts'

/** A Kubernetes API that holds objects and does nothing about them: no controllers, no nodes. */
export interface ObjectServer extends AsyncDisposable {
  url: string
  /** Scratch space that goes with it. */
  dir: string
  certificates: CertificateStore
  /** As an administrator. */
  client: KubeClient
  /** Makes a token of a service account, which has to be there. */
  tokenOf(namespace: string, name: string): Promise<string>
  /** Writes a kubeconfig of a service account; answers its path. */
  kubeconfigOf(namespace: string, name: string): Promise<string>
}

/** What a test may want to be different. */
export interface ObjectServerOptions {
  /** Nodes that get a certificate. */
  workers?: readonly string[]
  /** Where it is written down who did what; nowhere where absent. */
  audit?: Log
}

/** Opens one with all that an installation begins with. */
export async function openObjectServer({
  workers = [],
  audit,
}: ObjectServerOptions = {}): Promise<ObjectServer> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp('/tmp/virtgate-objects-')
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const log = memoryLog()
  const certificates = stack.use(
    await openCertificateStore({ dir: join(dir, 'pki'), hosts: ['127.0.0.1'], workers, onError: () => {} }),
  )
  const schemas = openSchemas()
  const embedded = stack.use(
    await openEmbeddedApi({
      file: join(dir, 'objects.db'),
      durability: 'normal',
      shapes: schemas,
      architecture: 'amd64',
      clock: systemClock,
      log,
    }),
  )
  const nodes = stack.use(new NodeDirectory(log))
  const events = stack.use(
    openEventRecorder({ store: embedded.asSystem, component: 'test', clock: systemClock, log }),
  )
  const app = buildEmbeddedServer({
    embedded,
    nodes,
    events,
    certificates,
    schemas,
    metrics: openRoleMetrics(log),
    log,
    ...(audit && { audit }),
  })
  stack.defer(() => app.close())
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const { ca, admin } = certificates.current()
  const client = stack.use(
    openKubeClient({
      server: url,
      namespace: 'default',
      tls: { ca, ...admin },
      token: async () => undefined,
    }),
  )
  const tokenOf = async (namespace: string, name: string) => {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} }
    const answer: { status: { token: string } } = await client.call({ method: 'POST', path, body })
    return answer.status.token
  }
  const open = stack.move()
  return {
    url,
    dir,
    certificates,
    client,
    tokenOf,
    async kubeconfigOf(namespace, name) {
      const file = join(dir, `${name}.kubeconfig`)
      const config = {
        clusters: [
          {
            name: 'c',
            cluster: { server: url, 'certificate-authority-data': Buffer.from(ca).toString('base64') },
          },
        ],
        users: [{ name: 'u', user: { token: await tokenOf(namespace, name) } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      }
      await writeFile(file, JSON.stringify(config))
      return file
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}
