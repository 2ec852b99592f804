/**
 * The chart installed before a real kube-apiserver. No kubelet starts its pods: what their containers are started with is
 * run here, as their service accounts, with other addresses to listen at.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Lease } from '../../src/kinds/core.ts'
import { WORKER_ADDRESS } from '../../src/kinds/worker-lease.ts'
import {
  API_SERVICE_NAME,
  INSTALL_NAMESPACE,
  TLS_SECRETS,
  TRUST_CONFIGMAP_NAME,
} from '../../src/kinds/installation.ts'
import { hasIpv6 } from '../helpers/ipv6.ts'
import { readChart, type Rendered } from '../helpers/chart.ts'
import { CHART } from '../helpers/chart-values.ts'
import { requireKube } from '../helpers/kube-cluster/binaries.ts'
import { startControlPlane, type ControlPlane } from '../helpers/kube-cluster/control-plane.ts'
import { portsOf } from '../helpers/kube-cluster/installation.ts'
import { apply } from '../helpers/kube-cluster/kubectl.ts'
import { applyKinds, awaitAvailable, awaitWebhooks, endpoints } from '../helpers/kube-cluster/objects.ts'
import { openServiceProxy } from '../helpers/kube-cluster/service-proxy.ts'
import { runVirtgate } from '../helpers/run-virtgate.ts'
import { startRole, type Flags, type RoleProcess } from '../helpers/role-process.ts'
import { eventually } from '../helpers/server.ts'

const NODE = 'n1'
const NAMESPACE_PATH = `/api/v1/namespaces/${INSTALL_NAMESPACE}`

// Whoever may reach the webhooks is named, as `virtgate doctor` demands.
const controlPlane = [{ ipBlock: { cidr: '127.0.0.1/32' } }]
const values = { worker: { kvm: 'none' }, networkPolicy: { controlPlane } }
const rendered = readChart(CHART).render({ values })
/** What Helm applies when it installs; hooks come later. */
const installed = rendered
  .map(({ object }) => object)
  .filter(({ metadata }) => !metadata.annotations?.['helm.sh/hook'])

/** What is looked at of a pod that is to be. */
interface PodTemplate {
  metadata: object
  spec: {
    serviceAccountName: string
    containers: { args: string[] }[]
    volumes: {
      projected?: { sources: { serviceAccountToken: { audience: string; expirationSeconds: number } }[] }
    }[]
  }
}

/** The pod of a Deployment or DaemonSet. */
function podOf(name: string): PodTemplate {
  const isPod = ({ object }: Rendered) =>
    object.metadata.name === name && ['Deployment', 'DaemonSet'].includes(object.kind)
  const found = rendered.find(isPod)?.object as { spec?: { template: PodTemplate } } | undefined
  if (!found?.spec) throw new Error(`there is no ${name}`)
  return found.spec.template
}

/** The options of its container. */
function flagsOf(name: string): Flags {
  const [, ...args] = podOf(name).spec.containers[0]?.args ?? []
  return Object.fromEntries(
    args.map((arg) => {
      const [flag = '', ...value] = arg.slice('--'.length).split('=')
      return [flag, value.length > 0 ? value.join('=') : true]
    }),
  )
}

/** Makes a worker's pod on the node, and the token that its kubelet would ask for. */
async function makeWorkerToken({ admin: { client } }: ControlPlane): Promise<string> {
  const { metadata, spec } = podOf('virt-handler')
  const name = 'virt-handler-1'
  const { uid } = await client
    .call<{ metadata: { uid: string } }>({
      method: 'POST',
      path: `${NAMESPACE_PATH}/pods`,
      body: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { ...metadata, name },
        spec: { ...spec, nodeName: NODE },
      },
    })
    .then((made) => made.metadata)
  const [source] = spec.volumes.flatMap(({ projected }) => projected?.sources ?? [])
  if (!source) throw new Error('a worker gets no token')
  const { audience, expirationSeconds } = source.serviceAccountToken
  const { status } = await client.call<{ status: { token: string } }>({
    method: 'POST',
    path: `${NAMESPACE_PATH}/serviceaccounts/${spec.serviceAccountName}/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: [audience],
        expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
      },
    },
  })
  return status.token
}

requireKube()('an installation by the chart', () => {
  const stack = new AsyncDisposableStack()
  let plane: ControlPlane
  let controller: RoleProcess
  let dir: string

  const get = <T>(path: string) => plane.admin.client.call<T>({ method: 'GET', path })
  const start = async (role: string, name: string, more: Flags) => {
    const started = await startRole(role, { ...flagsOf(name), 'log-level': 'info', ...more })
    stack.defer(async () => void (await started.stop('SIGKILL')))
    return started
  }
  const kubeconfigOf = async (name: string) => {
    const { serviceAccountName } = podOf(name).spec
    return (await plane.serviceAccount(INSTALL_NAMESPACE, serviceAccountName)).kubeconfig
  }

  beforeAll(async () => {
    plane = stack.use(await startControlPlane())
    dir = await mkdtemp('/tmp/virtgate-chart-')
    stack.defer(() => rm(dir, { recursive: true, force: true }))
    await applyKinds(plane)
    await apply(plane.admin, [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: INSTALL_NAMESPACE } }])
    await apply(plane.admin, [...installed, endpoints()])
    controller = await start('controller', 'virt-controller', {
      kubeconfig: await kubeconfigOf('virt-controller'),
      'health-listen': '127.0.0.1:0',
      'enroll-listen': '127.0.0.1:0',
      'metrics-listen': '127.0.0.1:0',
    })
  })
  afterAll(() => stack.disposeAsync())

  test('the controller makes the certificates, and tells kube-apiserver of their authority', async () => {
    const wanted = Object.values(TLS_SECRETS)
    const made = await eventually('all Secrets are made', 30_000, async () => {
      const { items } = await get<{ items: { metadata: { name: string } }[] }>(`${NAMESPACE_PATH}/secrets`)
      const names = items.map(({ metadata }) => metadata.name)
      return wanted.every((name) => names.includes(name)) && names
    })
    expect(made).toEqual(expect.arrayContaining(wanted))
    await eventually('caBundle is filled in', 30_000, async () => {
      const path = '/apis/apiregistration.k8s.io/v1/apiservices/v1.subresources.kubevirt.io'
      return Boolean((await get<{ spec: { caBundle?: string } }>(path)).spec.caBundle)
    })
  })

  test('API servers show them, and kube-apiserver finds the API available', async () => {
    const kubeconfig = await kubeconfigOf('virt-api')
    const server = await start('apiserver', 'virt-api', {
      kubeconfig,
      listen: '127.0.0.1:0',
      'webhook-listen': '127.0.0.1:0',
    })
    const { spec } = await get<{ spec: { clusterIP: string } }>(
      `${NAMESPACE_PATH}/services/${API_SERVICE_NAME}`,
    )
    const { api, webhooks } = portsOf(server)
    const backends = new Map([
      [443, [api]],
      [9443, [webhooks]],
    ])
    stack.use(await openServiceProxy(spec.clusterIP, [443, 9443], () => backends))
    await awaitAvailable(plane)
    await awaitWebhooks(plane)
    // kube-apiserver forwards to us a moment after it has said so.
    const version = await eventually('requests come through', 30_000, () =>
      get<{ gitVersion: string }>('/apis/subresources.kubevirt.io/v1/version').catch(() => undefined),
    )
    expect(version.gitVersion).toContain('virtgate')
  })

  test('a worker enrols with the token that its pod gets, for the node that its pod is on', async () => {
    await apply(plane.admin, [{ apiVersion: 'v1', kind: 'Node', metadata: { name: NODE } }])
    const map = await get<{ data: Record<string, string> }>(
      `${NAMESPACE_PATH}/configmaps/${TRUST_CONFIGMAP_NAME}`,
    )
    await writeFile(join(dir, 'token'), await makeWorkerToken(plane))
    await writeFile(join(dir, 'ca.crt'), map.data['ca.crt'] ?? '')
    await start('worker', 'virt-handler', {
      node: NODE,
      listen: hasIpv6 ? '[::1]:0' : '127.0.0.1:0',
      'metrics-listen': '127.0.0.1:0',
      // As the address of a pod is given, with no brackets where it is of IPv6.
      advertise: hasIpv6 ? '::1' : '127.0.0.1',
      'migration-address': '127.0.0.1',
      state: join(dir, 'state'),
      images: join(dir, 'images'),
      run: join(dir, 'run'),
      controller: /enrolling workers at ([^\s,]+)/.exec(controller.ready)?.[1] ?? '',
      'controller-ca': join(dir, 'ca.crt'),
      'join-token-file': join(dir, 'token'),
    })
    const [lease] = await eventually('the worker is registered', 60_000, async () => {
      const path = `/apis/coordination.k8s.io/v1/namespaces/${INSTALL_NAMESPACE}/leases`
      const { items } = await get<{ items: Lease[] }>(path)
      const found = items.filter(({ spec: own }) => own?.holderIdentity === NODE)
      return found.length > 0 && found
    })
    expect(lease?.metadata.annotations?.[WORKER_ADDRESS]).toMatch(/^(127\.0\.0\.1|\[::1\]):\d+$/)
  })

  test('virtgate doctor finds nothing wrong, with the rights that helm test gives it', async () => {
    const hooks = rendered
      .map(({ object }) => object)
      .filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === 'test')
    await apply(
      plane.admin,
      hooks.filter(({ kind }) => kind !== 'Pod'),
    )
    const doctor = await plane.serviceAccount(INSTALL_NAMESPACE, 'virtgate-doctor')
    const said = await eventually('all is well', 90_000, async () => {
      const { code, stdout } = await runVirtgate(doctor, 'doctor')
      return code === 0 && !stdout.includes('WARNING') && stdout
    })
    expect(said).toContain('nothing is wrong')
    // But the certificate: it may not read Secrets, and no pod is where the endpoints say.
    expect(said.match(/^skipped .*/gm)).toEqual([expect.stringContaining('you may not read the Secret')])
  })

  test('the hook that comes before an uninstallation may do what it has to', async () => {
    const hooks = rendered
      .map(({ object }) => object)
      .filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === 'pre-delete')
    await apply(
      plane.admin,
      hooks.filter(({ kind }) => kind !== 'Job'),
    )
    const hook = await plane.serviceAccount(INSTALL_NAMESPACE, 'virtgate-unregister')
    const { code, stdout, stderr } = await runVirtgate(hook, 'unregister')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.match(/is removed/g)).toHaveLength(4)
  })
})
