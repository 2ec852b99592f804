/** Certificates that virtgate makes itself, behind a real kube-apiserver. */
import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ConfigMap, Lease, Secret } from '../../src/kinds/core.ts'
import type { ApiService } from '../../src/kinds/registrations.ts'
import { WORKER_ISSUER } from '../../src/kinds/worker-lease.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { keyHash, splitBundle } from '../../src/lib/pem.ts'
import { decodeSecret } from '../../src/roles/certificates/secret-data.ts'
import { openWorkerIdentity } from '../../src/roles/enrolment/worker-identity.ts'
import { memoryLog } from '../helpers/api.ts'
import { startLoad } from '../helpers/cluster-load.ts'
import { requireKubeAndQemu } from '../helpers/kube-cluster/binaries.ts'
import { startControlPlane, type ControlPlane } from '../helpers/kube-cluster/control-plane.ts'
import { installSelfMade, type SelfMade } from '../helpers/kube-cluster/self-made.ts'
import { eventually } from '../helpers/server.ts'
import { awaitPhase, bootVm } from '../helpers/vms.ts'

const CORE = '/api/v1/namespaces/kubevirt'
const NODE = 'node-a'
const ROTATIONS = 3

requireKubeAndQemu()('certificates of an installation behind a real kube-apiserver', () => {
  const stack = new AsyncDisposableStack()
  let plane: ControlPlane
  let virtgate: SelfMade

  beforeAll(async () => {
    plane = stack.use(await startControlPlane())
    const policy = { 'cert-life': '1m', 'ca-overlap': '2m', 'ca-spread': '2s' }
    virtgate = stack.use(await installSelfMade(plane, NODE, policy))
  })
  afterAll(() => stack.disposeAsync())

  const get = <T>(path: string): Promise<T> => plane.admin.client.call<T>({ method: 'GET', path })
  const secret = async (name: string) => decodeSecret(await get<Secret>(`${CORE}/secrets/${name}`))
  const lease = () =>
    get<Lease>(`/apis/coordination.k8s.io/v1/namespaces/kubevirt/leases/virtgate-worker-${NODE}`)

  test('kube-apiserver is told whom to believe, and told again where somebody else has changed it', async () => {
    const path = '/apis/apiregistration.k8s.io/v1/apiservices/v1.subresources.kubevirt.io'
    const { 'ca.crt': ca = '' } = await secret('kubevirt-virt-api-certs')
    const bundle = Buffer.from(ca).toString('base64')
    expect((await get<ApiService>(path)).spec?.caBundle).toBe(bundle)
    await plane.admin.client.call({
      method: 'PATCH',
      path,
      contentType: 'application/merge-patch+json',
      body: { spec: { caBundle: Buffer.from(plane.pki.ca.cert).toString('base64') } },
    })
    await eventually('it is put right', 20_000, async () => {
      return (await get<ApiService>(path)).spec?.caBundle === bundle
    })
  })

  test('a pod enrols for the node that kube-apiserver says it is on, and for no other', async () => {
    const token = await tokenOfPod(plane, 'node-b')
    const dir = await mkdtemp('/tmp/virtgate-pod-')
    stack.defer(() => rm(dir, { recursive: true }))
    const { data } = await get<ConfigMap>(`${CORE}/configmaps/virtgate-internal-ca`)
    const controllerCa = join(dir, 'ca.crt')
    await writeFile(controllerCa, data?.['ca.crt'] ?? '')
    const enrol = (node: string, given: string) =>
      openWorkerIdentity({
        node,
        controller: virtgate.enrolUrl,
        token: async () => given,
        controllerCa,
        dir: join(dir, node),
        clock: systemClock,
        log: memoryLog(),
        signal: new AbortController().signal,
      })
    await expect(enrol(NODE, token)).rejects.toMatchObject({
      code: 403,
      message: expect.stringContaining('is of the node node-b, not of node-a'),
    })
    await expect(enrol('node-b', await tokenOfPod(plane, 'node-b', 'default'))).rejects.toMatchObject({
      code: 403,
      message: expect.stringContaining('workers enrol as system:serviceaccount:kubevirt:kubevirt-handler'),
    })
    const forTheApi = await plane.serviceAccount('kubevirt', 'kubevirt-handler')
    const { token: other } = { token: (await forTheApi.client.config.token()) ?? '' }
    await expect(enrol('node-b', other)).rejects.toMatchObject({ code: 401 })
    await using identity = await enrol('node-b', token)
    expect(new X509Certificate(identity.current().cert).subjectAltName).toContain('/worker/node-b')
  })

  test('both authorities are replaced three times under load: no request fails and no console drops', async () => {
    const { client } = plane.admin
    await bootVm(client, 'steady')
    await awaitPhase(client, 'steady', 'Running')
    const load = await startLoad(client, 'steady', { perSecond: 20, consoles: 5 })
    stack.defer(() => load.stop())
    await load.speak('before')
    for (let round = 0; round < ROTATIONS; round++) {
      const [serving, internal] = [
        await signerOf('virtgate-serving-ca'),
        await signerOf('virtgate-internal-ca'),
      ]
      await virtgate.rotate()
      await eventually('both sign with another key', 120_000, async () => {
        const now = [await signerOf('virtgate-serving-ca'), await signerOf('virtgate-internal-ca')]
        return now[0] !== serving && now[1] !== internal
      })
      await eventually('the worker shows a certificate of it', 60_000, async () => {
        const issuer = (await lease()).metadata.annotations?.[WORKER_ISSUER]
        return issuer === (await signerOf('virtgate-internal-ca'))
      })
    }
    await load.speak('after')
    await load.stop()
    expect(load.failures()).toEqual([])
    expect(load.answered()).toBeGreaterThan(100)
    const { 'ca.crt': ca = '' } = await secret('kubevirt-virt-api-certs')
    expect(splitBundle(ca).length).toBeGreaterThan(1)
  })

  async function signerOf(name: string): Promise<string> {
    return keyHash((await secret(name))['tls.crt'] ?? '')
  }
})

/** The token that a kubelet projects into a pod on that node. */
async function tokenOfPod({ admin }: ControlPlane, node: string, namespace = 'kubevirt'): Promise<string> {
  const account = namespace === 'kubevirt' ? 'kubevirt-handler' : 'default'
  const core = `/api/v1/namespaces/${namespace}`
  await admin.client.call({ method: 'GET', path: `/api/v1/nodes/${node}` }).catch(() =>
    admin.client.call({
      method: 'POST',
      path: '/api/v1/nodes',
      body: { apiVersion: 'v1', kind: 'Node', metadata: { name: node } },
    }),
  )
  await eventually(`${namespace} has its account`, 30_000, async () =>
    admin.client
      .call<object>({ method: 'GET', path: `${core}/serviceaccounts/${account}` })
      .catch(() => false),
  )
  const pod = await admin.client.call<{ metadata: { uid: string; name: string } }>({
    method: 'POST',
    path: `${core}/pods`,
    body: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { generateName: 'worker-' },
      spec: {
        nodeName: node,
        serviceAccountName: account,
        // No kubelet is there to run it.
        containers: [{ name: 'worker', image: 'registry.invalid/worker' }],
      },
    },
  })
  const { name, uid } = pod.metadata
  const spec = {
    audiences: ['virtgate-enrol'],
    expirationSeconds: 600,
    boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
  }
  const answer = await admin.client.call<{ status: { token: string } }>({
    method: 'POST',
    path: `${core}/serviceaccounts/${account}/token`,
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec },
  })
  return answer.status.token
}
