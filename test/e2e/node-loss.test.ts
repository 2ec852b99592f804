import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Vm, Vmi } from '../../src/kinds/kubevirt.ts'
import { isTrue } from '../../src/kinds/meta.ts'
import { connectQmp } from '../../src/qemu/qmp/client.ts'
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
import { getVmi, helloVm, paths } from '../helpers/vms.ts'

const NAMES = ['node-a', 'node-b']
const FENCE_SECONDS = 25
const FAILOVER_SECONDS = 60
const VM = 'roamer'

requireQemu()('a node that is not heard of', () => {
  let stack: AsyncDisposableStack
  let objects: ObjectServer
  let home: string
  let workers: Map<string, RoleProcess>
  let controller: RoleProcess

  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    objects = stack.use(await openObjectServer({ workers: NAMES }))
    home = await makeHome(stack)
    await allowEmulation(objects.client)
    workers = new Map()
    for (const name of NAMES) workers.set(name, await openNode(name))
    const nodes = join(objects.dir, 'nodes.yaml')
    const list = [...workers].map(([name, worker]) => ({ name, address: addressOf(worker) }))
    await writeFile(nodes, JSON.stringify(list))
    const flags = { nodes, 'failover-after': String(FAILOVER_SECONDS) }
    controller = stack.use(await startController(objects, flags))
  })
  afterEach(async () => {
    for (const pid of guestPids(home)) process.kill(pid, 'SIGKILL')
    await stack.disposeAsync()
  })

  async function openNode(name: string, flags = {}): Promise<RoleProcess> {
    const worker = await startWorker(objects, home, name, { 'fence-after': String(FENCE_SECONDS), ...flags })
    // One that a test has stopped could not end.
    stack.defer(async () => {
      await worker.stop('SIGKILL')
    })
    return worker
  }

  const pidsOn = (name: string) => guestPids(join(home, `run-${name}/`))

  /** Boots the VM and waits until its node has promised to stop it. */
  async function run(): Promise<{ vmi: Vmi; node: string; other: string }> {
    const body = helloVm(VM, { runStrategy: 'Always' })
    await objects.client.call<Vm>({ method: 'POST', path: paths(VM).vms, body })
    const vmi = await until(
      'the node has promised',
      60,
      (one) => one.status?.phase === 'Running' && isTrue(one.status.conditions, 'FailoverReady'),
    )
    const node = vmi.status?.nodeName ?? ''
    return { vmi, node, other: NAMES.find((name) => name !== node) ?? '' }
  }

  function until(what: string, seconds: number, holds: (vmi: Vmi) => boolean): Promise<Vmi> {
    return eventually(what, seconds * 1000, async () => {
      const vmi = await getVmi(objects.client, VM)
      return vmi && holds(vmi) && vmi
    })
  }

  /** Asked at the monitor that the guard uses, too: one of them at a time, so it is tried until it answers. */
  function isRunning({ metadata }: Vmi, node: string): Promise<boolean> {
    const socket = join(home, `run-${node}`, metadata.uid, 'qmp-aux.sock')
    return eventually('QEMU answers', 30_000, async () => {
      try {
        await using qmp = await connectQmp(socket, { timeoutMs: 2000 })
        return [(await qmp.execute<{ running: boolean }>('query-status')).running]
      } catch {
        return undefined
      }
    }).then(([running]) => running === true)
  }

  /** Waits for the guard's mark, which is there before the guest stops; until then the monitor is the guard's alone. */
  async function stands(vmi: Vmi, node: string, seconds: number): Promise<void> {
    const mark = join(home, node, vmi.metadata.uid, 'held.json')
    await eventually('the guest is held', seconds * 1000, async () => existsSync(mark))
    await eventually('the guest stands still', 20_000, async () => !(await isRunning(vmi, node)))
  }

  test('has stopped its guest before that is started elsewhere, and removes it when it is back', async () => {
    const { vmi, node, other } = await run()
    const worker = workers.get(node)
    process.kill(worker?.pid ?? 0, 'SIGSTOP')
    await stands(vmi, node, FENCE_SECONDS + 20)
    expect(pidsOn(other)).toEqual([])
    const [stale] = pidsOn(node)
    const next = await until('it runs elsewhere', 120, ({ metadata, status }) => {
      return metadata.uid !== vmi.metadata.uid && status?.phase === 'Running'
    })
    expect(next.status?.nodeName).toBe(other)
    expect(await isRunning(vmi, node)).toBe(false)
    expect(pidsOn(node)).toEqual([stale])

    process.kill(worker?.pid ?? 0, 'SIGCONT')
    await eventually('the stale guest is gone', 60_000, async () => pidsOn(node).length === 0)
    expect(pidsOn(other)).toHaveLength(1)
    expect((await getVmi(objects.client, VM))?.metadata.uid).toBe(next.metadata.uid)
  })

  test('goes on with its guest when the controllers were away, and was stopped meanwhile', async () => {
    const { vmi, node } = await run()
    const before = pidsOn(node)
    process.kill(controller.pid, 'SIGSTOP')
    await stands(vmi, node, FENCE_SECONDS + 20)
    process.kill(controller.pid, 'SIGCONT')
    await eventually('the guest goes on', 60_000, () => isRunning(vmi, node))
    expect(pidsOn(node)).toEqual(before)
    const after = await until(
      'it is no longer held',
      30,
      ({ status }) => !isTrue(status?.conditions, 'Paused'),
    )
    expect(after.metadata.uid).toBe(vmi.metadata.uid)
  })

  test('stops its guest also where its worker is dead, and keeps it when that comes back in time', async () => {
    const { vmi, node } = await run()
    const before = pidsOn(node)
    const worker = workers.get(node)
    const address = worker === undefined ? '' : addressOf(worker)
    await worker?.stop('SIGKILL')
    await stands(vmi, node, FENCE_SECONDS + 20)
    await openNode(node, { listen: address })
    await eventually('the guest goes on', 60_000, () => isRunning(vmi, node))
    expect(pidsOn(node)).toEqual(before)
    expect((await getVmi(objects.client, VM))?.metadata.uid).toBe(vmi.metadata.uid)
  })
})
