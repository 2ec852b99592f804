import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Lease } from '../../src/kinds/core.ts'
import type { Vm } from '../../src/kinds/kubevirt.ts'
import {
  addressOf,
  allowEmulation,
  makeHome,
  startController,
  startWorker,
} from '../helpers/cluster-processes.ts'
import { requireQemu } from '../helpers/guest.ts'
import { openObjectServer, type ObjectServer } from '../helpers/object-server.ts'
import type { RoleProcess } from '../helpers/role-process.ts'
import { eventually, guestPids } from '../helpers/server.ts'
import { awaitPhase, helloVm, paths } from '../helpers/vms.ts'

const NODE = 'node-a'
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/kubevirt/leases/virtgate-controller'

requireQemu()('two controllers for the same VMs', () => {
  const stack = new AsyncDisposableStack()
  let objects: ObjectServer
  let home: string
  let controllers: { process: RoleProcess; health: string }[]

  beforeAll(async () => {
    objects = stack.use(await openObjectServer({ workers: [NODE] }))
    home = await makeHome(stack)
    await allowEmulation(objects.client)
    const worker = stack.use(await startWorker(objects, home, NODE))
    controllers = [await start(addressOf(worker)), await start(addressOf(worker))]
  })
  afterAll(async () => {
    for (const pid of guestPids(home)) process.kill(pid, 'SIGKILL')
    await stack.disposeAsync()
  })

  async function start(address: string) {
    const process = stack.use(
      await startController(objects, {
        node: `${NODE}=${address}`,
        'lease-duration': '4',
        'renew-deadline': '3',
        'retry-period': '1',
        'health-listen': '127.0.0.1:0',
      }),
    )
    return { process, health: /http:\S+/.exec(process.ready)?.[0] ?? '' }
  }

  async function isLeading({ health }: { health: string }): Promise<boolean> {
    const answer = await fetch(`${health}/readyz?verbose`)
    return (await answer.text()).includes('leader-election ok: this process leads')
  }

  async function leaderAmong(them: typeof controllers) {
    return eventually('one leads', 20_000, async () => {
      const leading = await Promise.all(them.map(isLeading))
      return them.find((_one, at) => leading[at])
    })
  }

  const epoch = async () =>
    (await objects.client.call<Lease>({ method: 'GET', path: LEASE })).spec?.leaseTransitions ?? 0

  async function run(name: string): Promise<void> {
    const body = helloVm(name)
    await objects.client.call<Vm>({
      method: 'POST',
      path: paths(name).vms,
      body: { ...body, spec: { ...body.spec, runStrategy: 'Always' } },
    })
  }

  test('one works; stopped past its lease and let go on, it can do nothing, and there is one QEMU for each VM', async () => {
    const first = await leaderAmong(controllers)
    const others = controllers.filter((one) => one !== first)
    expect(await Promise.all(others.map(isLeading))).toEqual([false])
    await run('one')
    await awaitPhase(objects.client, 'one', 'Running')
    const before = await epoch()

    process.kill(first.process.pid, 'SIGSTOP')
    const second = await leaderAmong(others)
    expect(await epoch()).toBe(before + 1)
    await run('two')
    await awaitPhase(objects.client, 'two', 'Running')
    process.kill(first.process.pid, 'SIGCONT')
    await run('three')
    await awaitPhase(objects.client, 'three', 'Running')
    await eventually('the first knows', 20_000, async () =>
      first.process.output().includes('this process does not lead any more'),
    )
    expect(await isLeading(second)).toBe(true)
    expect(await epoch()).toBe(before + 1)
    expect(guestPids(home)).toHaveLength(3)

    // A clean end hands over at once: well before the lease would have ended.
    await second.process.stop()
    expect(await leaderAmong([first])).toBe(first)
    await run('four')
    await awaitPhase(objects.client, 'four', 'Running')
    expect(guestPids(home)).toHaveLength(4)
  })
})
