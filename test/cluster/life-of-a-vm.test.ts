/** A VM behind a real kube-apiserver, from its creation to its end; every request goes through kube-apiserver. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { dialStream } from '../../src/kube/stream.ts'
import type { KubeClient } from '../../src/kube/client.ts'
import type { Vm } from '../../src/kinds/kubevirt.ts'
import { isTrue } from '../../src/kinds/meta.ts'
import { hasReason } from '../../src/lib/errors.ts'
import { requireKubeAndQemu } from '../helpers/kube-cluster/binaries.ts'
import { startControlPlane, type ControlPlane } from '../helpers/kube-cluster/control-plane.ts'
import { installVirtgate, type Installation } from '../helpers/kube-cluster/installation.ts'
import { apply } from '../helpers/kube-cluster/kubectl.ts'
import { readFrame } from '../helpers/rfb.ts'
import { eventually } from '../helpers/server.ts'
import { awaitPhase, getVmi, helloVm, openConsole, paths } from '../helpers/vms.ts'

const NAME = 'roamer'

requireKubeAndQemu()('the life of a VM behind a real kube-apiserver', () => {
  const stack = new AsyncDisposableStack()
  let plane: ControlPlane
  let virtgate: Installation
  let client: KubeClient

  beforeAll(async () => {
    plane = stack.use(await startControlPlane())
    virtgate = stack.use(await installVirtgate(plane, { nodes: ['node-a'] }))
    ;({ client } = plane.admin)
  })
  afterAll(() => stack.disposeAsync())

  const { vm, vmi, onVm, onVmi } = paths(NAME)

  test('it is applied, started, placed on the node, and runs', async () => {
    await apply(plane.admin, [helloVm(NAME, { graceSeconds: 20 })])
    expect(await getVmi(client, NAME)).toBeUndefined()
    await client.call({ method: 'PUT', path: onVm('start'), body: {} })
    const { status } = await awaitPhase(client, NAME, 'Running')
    expect(status?.nodeName).toBe('node-a')
    expect(virtgate.guests()).toHaveLength(1)
  })

  test('its console goes both ways through kube-apiserver', async () => {
    const console = await openConsole(client, NAME)
    await console.sees(/GUEST-READY/)
    console.type('echo sum=$((40+2))')
    expect(await console.sees(/sum=\d+/)).toBe('sum=42')
    console.close()
  })

  test('its display shakes hands and shows a picture', async () => {
    const { duplex } = await dialStream(client.config, onVmi('vnc'))
    const frame = await readFrame(duplex)
    expect(frame).toMatchObject({ version: 'RFB 003.008\n', width: expect.any(Number) })
    expect(frame.width).toBeGreaterThan(300)
    duplex.destroy()
  })

  test('a stream that cannot be is refused through kube-apiserver with our words', async () => {
    const path = paths('nobody').onVmi('console')
    await expect(dialStream(client.config, path)).rejects.toMatchObject({ code: 404, reason: 'NotFound' })
    await expect(dialStream(client.config, onVmi('usbredir'))).rejects.toMatchObject({
      message: expect.stringMatching(/usb/i),
    })
  })

  test('pause, unpause and the twice asked come back as they are said', async () => {
    await client.call({ method: 'PUT', path: onVmi('pause'), body: {} })
    await eventually('the VMI says that it is paused', 20_000, async () =>
      isTrue((await getVmi(client, NAME))?.status?.conditions, 'Paused'),
    )
    const again = client.call({ method: 'PUT', path: onVmi('pause'), body: {} })
    await expect(again).rejects.toMatchObject({ code: 409, reason: 'Conflict' })
    await client.call({ method: 'PUT', path: onVmi('unpause'), body: {} })
  })

  test('stopped it is stopped, and deleted it leaves nothing', async () => {
    await client.call({ method: 'PUT', path: onVm('stop'), body: {} })
    await eventually('the VM is stopped', 60_000, async () => {
      const { status } = await client.call<Vm>({ method: 'GET', path: vm })
      return status?.printableStatus === 'Stopped'
    })
    expect(virtgate.guests()).toEqual([])
    await client.call({ method: 'DELETE', path: vm })
    for (const path of [vm, vmi]) await eventually(`${path} is gone`, 30_000, () => isGone(path))
    const revisions = '/apis/apps/v1/namespaces/default/controllerrevisions'
    await eventually('its revisions are collected', 60_000, async () => {
      const { items } = await client.call<{ items: object[] }>({ method: 'GET', path: revisions })
      return items.length === 0
    })
  })

  async function isGone(path: string): Promise<boolean> {
    return client.call({ method: 'GET', path }).then(
      () => false,
      (error: unknown) => hasReason(error, 'NotFound'),
    )
  }
})
