import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openKubeClient, type KubeClient } from '../../src/kube/client.ts'
import type { Vm } from '../../src/kinds/kubevirt.ts'
import { hasReason } from '../../src/lib/errors.ts'
import {
  addressOf,
  allowEmulation,
  makeHome,
  startController,
  startWorker,
} from '../helpers/cluster-processes.ts'
import {
  clientOf,
  createAccounts,
  startApiServer,
  writePair,
  writeServingPair,
} from '../helpers/cluster-apiserver.ts'
import { requireQemu } from '../helpers/guest.ts'
import { openObjectServer, type ObjectServer } from '../helpers/object-server.ts'
import { makeAuthority, servingPair, type TestAuthority } from '../helpers/pki.ts'
import type { RoleProcess } from '../helpers/role-process.ts'
import { eventually, guestPids } from '../helpers/server.ts'
import { awaitPhase, getVmi, helloVm, openConsole, paths } from '../helpers/vms.ts'

const NODE = 'node-a'

requireQemu()('API server, controller and worker as processes of their own', () => {
  const stack = new AsyncDisposableStack()
  let objects: ObjectServer
  let home: string
  let worker: RoleProcess
  let controller: RoleProcess
  let apiserver: RoleProcess
  let authority: TestAuthority
  /** Clients of the API server process: somebody who may, and somebody who may not. */
  let editor: KubeClient
  let guest: KubeClient

  beforeAll(async () => {
    objects = stack.use(await openObjectServer({ workers: [NODE] }))
    home = await makeHome(stack)
    await allowEmulation(objects.client)
    worker = stack.use(await startWorker(objects, home, NODE))
    const address = addressOf(worker)
    const nodes = join(objects.dir, 'nodes.yaml')
    await writeFile(nodes, `- {name: ${NODE}, address: "${address}"}\n`)
    controller = stack.use(await startController(objects, { nodes }))
    authority = await makeAuthority()
    const serving = await writeServingPair(objects, authority)
    const flags = { node: `${NODE}=${address}`, drain: '1' }
    apiserver = stack.use(await startApiServer(objects, authority, serving, flags))
    await createAccounts(objects.client)
    editor = stack.use(await clientOf(objects, apiserver, authority, 'editor'))
    guest = stack.use(await clientOf(objects, apiserver, authority, 'guest'))
  })
  afterAll(async () => {
    for (const pid of guestPids(home)) process.kill(pid, 'SIGKILL')
    await stack.disposeAsync()
  })

  test('a VM that is started at the API server runs on the worker, shows its console, and leaves nothing', async () => {
    const { vms, vm, vmi, onVm } = paths('roamer')
    await objects.client.call<Vm>({
      method: 'POST',
      path: vms,
      body: helloVm('roamer', { graceSeconds: 20 }),
    })
    await editor.call({ method: 'PUT', path: onVm('start'), body: {} })
    const { status } = await awaitPhase(objects.client, 'roamer', 'Running')
    expect(status?.nodeName).toBe(NODE)
    expect(guestPids(home)).toHaveLength(1)

    const console = await openConsole(editor, 'roamer')
    await console.sees(/GUEST-READY/)
    console.type('echo sum=$((40+2))')
    await console.sees(/sum=42/)

    await editor.call({ method: 'PUT', path: onVm('stop'), body: {} })
    await eventually('the VM is stopped', 60_000, async () => {
      const { status } = await objects.client.call<Vm>({ method: 'GET', path: vm })
      return status?.printableStatus === 'Stopped'
    })
    expect(console.text()).toContain('powering off')
    expect(guestPids(home)).toEqual([])

    await objects.client.call({ method: 'DELETE', path: vm })
    for (const path of [vm, vmi]) {
      await eventually(`${path} is gone`, 20_000, () => isGone(objects.client, path))
    }
    const events = await objects.client.call<{ items: { reason: string }[] }>({
      method: 'GET',
      path: '/api/v1/namespaces/default/events',
    })
    expect(events.items.map(({ reason }) => reason)).toEqual(expect.arrayContaining(['Created', 'Started']))
  })

  test('whoever shows nothing, or may not, is refused', async () => {
    const path = paths('nobody').onVm('start')
    const anonymous = stack.use(openKubeClient({ ...editor.config, token: async () => undefined }))
    expect(await refusalOf(anonymous, path)).toMatchObject({ code: 401, reason: 'Unauthorized' })
    const wrong = stack.use(openKubeClient({ ...editor.config, token: async () => 'nonsense' }))
    expect(await refusalOf(wrong, path)).toMatchObject({ code: 401, reason: 'Unauthorized' })
    expect(await refusalOf(guest, path)).toMatchObject({
      code: 403,
      reason: 'Forbidden',
      message: expect.stringContaining('system:serviceaccount:default:guest'),
    })
    await expect(openConsole(guest, 'nobody')).rejects.toMatchObject({ code: 403, reason: 'Forbidden' })
    expect(await refusalOf(editor, path)).toMatchObject({ code: 404, reason: 'NotFound' })
  })

  test('the holder of a client certificate of --client-ca is known by it', async () => {
    const path = paths('nobody').onVm('start')
    const bearing = async (commonName: string, organizations: string[], by = authority) => {
      const pair = await by.issue({ usage: 'client', commonName, organizations })
      const { config } = editor
      return stack.use(
        openKubeClient({ ...config, tls: { ...config.tls, ...pair }, token: async () => undefined }),
      )
    }
    const nobody = await bearing('carol', [])
    expect(await refusalOf(nobody, path)).toMatchObject({
      code: 403,
      message: expect.stringContaining('User "carol" cannot update'),
    })
    const administrator = await bearing('root', ['system:masters'])
    expect(await refusalOf(administrator, path)).toMatchObject({ code: 404 })
    const stranger = await bearing('root', ['system:masters'], await makeAuthority('a stranger'))
    expect(await refusalOf(stranger, path)).toMatchObject({ code: 401 })
  })

  test('a new certificate is served without a restart, and a drain ends consoles', async () => {
    const name = 'lasting'
    await objects.client.call<Vm>({ method: 'POST', path: paths(name).vms, body: helloVm(name) })
    await editor.call({ method: 'PUT', path: paths(name).onVm('start'), body: {} })
    await awaitPhase(objects.client, name, 'Running')
    const console = await openConsole(editor, name)
    await console.sees(/GUEST-READY/)

    const next = await makeAuthority('another authority')
    await writePair(objects.dir, 'serving', await servingPair(next))
    const renewed = stack.use(await clientOf(objects, apiserver, next, 'editor'))
    const path = '/apis/subresources.kubevirt.io/v1/version'
    await eventually('the new certificate is served', 20_000, () =>
      renewed.call<object>({ method: 'GET', path }).catch(() => false),
    )
    // The stream was opened under the old certificate and lives on.
    console.type('echo alive=$((6*7))')
    await console.sees(/alive=42/)

    const closed = once(console.duplex, 'close')
    expect(await apiserver.stop()).toBe(0)
    await closed
    expect((await getVmi(objects.client, name))?.status?.phase).toBe('Running')
    expect(await controller.stop()).toBe(0)
    expect(await worker.stop()).toBe(0)
    expect(guestPids(home)).toHaveLength(1)
  })
})

async function refusalOf(client: KubeClient, path: string): Promise<unknown> {
  return client.call({ method: 'PUT', path, body: {} }).then(
    () => 'not refused',
    (error: unknown) => error,
  )
}

async function isGone(client: KubeClient, path: string): Promise<boolean> {
  return client.call({ method: 'GET', path }).then(
    () => false,
    (error: unknown) => hasReason(error, 'NotFound'),
  )
}
