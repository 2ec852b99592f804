/** What an installation puts into a cluster. */
import { buildFiles, OWN_NODES } from '../../../apiservice/files.ts'
import { DEFAULTS, SERVICE_NAME } from '../../../apiservice/manifest.ts'
import { isTrue, type Condition } from '../../../src/kinds/meta.ts'
import { StatusError } from '../../../src/lib/errors.ts'
import { eventually } from '../server.ts'
import { helloVm, paths } from '../vms.ts'
import type { ControlPlane } from './control-plane.ts'
import { apply, kubectlPrints } from './kubectl.ts'

/** Where the installation is. */
export const INSTALL_NAMESPACE = DEFAULTS.namespace

const { namespace } = DEFAULTS
const CRDS = new URL('../../../charts/virtgate/crds', import.meta.url).pathname

/** Applies the kinds, and waits until they are served. */
export async function applyKinds({ admin }: Pick<ControlPlane, 'admin'>): Promise<void> {
  await kubectlPrints(admin, ['apply', '--server-side', '--warnings-as-errors', '-f', CRDS])
  await awaitKinds(admin.client)
}

/** Applies the kinds, our accounts and the Service. Answers the Service's address. */
export async function applyObjects({ admin }: ControlPlane): Promise<string> {
  await applyKinds({ admin })
  await apply(admin, [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }])
  const files = buildFiles(DEFAULTS)
  await apply(admin, [
    ...(files.get('rbac.yaml') ?? []),
    ...(files.get(OWN_NODES) ?? []),
    ...(files.get('services.yaml') ?? []),
  ])
  await apply(admin, [endpoints()])
  const path = `/api/v1/namespaces/${namespace}/services/${SERVICE_NAME}`
  const { spec } = await admin.client.call<{ spec: { clusterIP: string } }>({ method: 'GET', path })
  return spec.clusterIP
}

/** Stands for what the endpoint slice controller makes of pods: kube-apiserver looks whether there are any. */
export function endpoints(): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: SERVICE_NAME, namespace, labels: { 'kubernetes.io/service-name': SERVICE_NAME } },
    addressType: 'IPv4',
    // For documentation alone, so never called: loopback addresses may not stand here.
    endpoints: [{ addresses: ['192.0.2.1'], conditions: { ready: true } }],
    ports: [
      { name: 'https', port: 443, protocol: 'TCP' },
      { name: 'webhooks', port: DEFAULTS.webhookPort, protocol: 'TCP' },
    ],
  }
}

async function awaitKinds(client: ControlPlane['admin']['client']): Promise<void> {
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  await eventually('all kinds are established', 30_000, async () => {
    const { items } = await client.call<{ items: { status?: { conditions?: Condition[] } }[] }>({
      method: 'GET',
      path,
    })
    return items.every(({ status }) => isTrue(status?.conditions, 'Established'))
  })
}

/** Makes kube-apiserver forward to us and ask us. `ca`: whose certificates we show; PEM. */
export async function applyRegistrations({ admin }: ControlPlane, ca: string): Promise<void> {
  const files = buildFiles({ ...DEFAULTS, caBundle: Buffer.from(ca).toString('base64') })
  await apply(admin, [...(files.get('api-services.yaml') ?? []), ...(files.get('webhooks.yaml') ?? [])])
}

/** Waits until kube-apiserver has reached us under both versions. */
export async function awaitAvailable({ admin }: ControlPlane): Promise<void> {
  for (const version of ['v1', 'v1alpha3']) {
    const path = `/apis/apiregistration.k8s.io/v1/apiservices/${version}.subresources.kubevirt.io`
    await eventually(`APIService ${version} is Available`, 60_000, async () => {
      const { status } = await admin.client.call<{ status?: { conditions?: Condition[] } }>({
        method: 'GET',
        path,
      })
      return isTrue(status?.conditions, 'Available')
    })
  }
}

/** Waits until kube-apiserver believes the webhooks: it hears of a new caBundle some time after that was written. */
export async function awaitWebhooks({ admin }: ControlPlane): Promise<void> {
  await eventually('kube-apiserver asks the webhooks', 60_000, async () => {
    try {
      const { vms: path } = paths('asked')
      await admin.client.call({ method: 'POST', path, query: { dryRun: 'All' }, body: helloVm('asked') })
      return true
    } catch (error) {
      if (error instanceof StatusError && error.code === 500) return undefined
      throw error
    }
  })
}
