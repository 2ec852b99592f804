/** Two API servers and two controllers; whoever leads is killed during each step of a VM's life. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { KubeClient } from '../../src/kube/client.ts'
import type { Vm } from '../../src/kinds/kubevirt.ts'
import { hasReason } from '../../src/lib/errors.ts'
import { requireKubeAndQemu } from '../helpers/kube-cluster/binaries.ts'
import { startControlPlane, type ControlPlane } from '../helpers/kube-cluster/control-plane.ts'
import { installVirtgate, type Installation } from '../helpers/kube-cluster/installation.ts'
import type { RoleProcess } from '../helpers/role-process.ts'
import { eventually } from '../helpers/server.ts'
import { getVmi, helloVm, openConsole, paths } from '../helpers/vms.ts'

/** Longest time to a goal: a takeover lasts some seconds. */
const GOAL_MS = 90_000

requireKubeAndQemu()('with two API servers and two controllers', () => {
  const stack = new AsyncDisposableStack()
  let plane: ControlPlane
  let virtgate: Installation
  let client: KubeClient
  let census: Census

  beforeAll(async () => {
    plane = stack.use(await startControlPlane())
    virtgate = stack.use(
      await installVirtgate(plane, {
        nodes: ['node-a'],
        apiServers: 2,
        controllers: 2,
        controllerFlags: {
          'lease-duration': '4',
          'renew-deadline': '3',
          'retry-period': '1',
          'health-listen': '127.0.0.1:0',
        },
      }),
    )
    ;({ client } = plane.admin)
    census = stack.use(new Census(virtgate))
  })
  afterAll(() => stack.disposeAsync())

  test.each([0, 1000])(
    'kill -9 of the leader and of an API server %d ms into each step loses nothing and doubles nothing',
    { timeout: 590_000 },
    async (delayMs) => {
      const name = `vm-${delayMs}`
      const { vms, vm, onVm } = paths(name)
      const put = (what: string, body: object = {}) => client.call({ method: 'PUT', path: onVm(what), body })

      await during(delayMs, () =>
        client.call({ method: 'POST', path: vms, body: helloVm(name, { graceSeconds: 5 }) }),
      )
      await reads(name, 'Stopped')

      await during(delayMs, () => put('start'))
      const first = await runs(name)

      await during(delayMs, () => put('restart', { gracePeriodSeconds: 0 }))
      await eventually('another instance runs', GOAL_MS, async () => {
        const vmi = await getVmi(client, name)
        return vmi?.status?.phase === 'Running' && vmi.metadata.uid !== first
      })
      await runs(name)

      await during(delayMs, () => put('stop', { gracePeriod: 0 }))
      await reads(name, 'Stopped')
      expect(virtgate.guests()).toEqual([])

      // The one who carried the stop out was killed: its successor may still have to write that down.
      await eventually('it may start', GOAL_MS, () => put('start').then(() => true, isPending))
      await runs(name)
      await during(delayMs, () => client.call({ method: 'DELETE', path: vm }))
      await eventually('the VM is gone', GOAL_MS, async () => (await find(vm)) === undefined)
      expect(await getVmi(client, name)).toBeUndefined()
      expect(virtgate.guests()).toEqual([])
      expect(census.most()).toBe(1)
    },
  )

  test('a console goes on, or can be opened again at once, when an API server is killed', async () => {
    const name = 'heard'
    const { vms, vm } = paths(name)
    const body = helloVm(name, { runStrategy: 'Always', graceSeconds: 0 })
    await client.call({ method: 'POST', path: vms, body })
    await runs(name)
    let console = await openConsole(client, name)
    await console.sees(/GUEST-READY/)
    await replace(virtgate.apiServers, virtgate.apiServers[0], () => virtgate.startApiServer())
    if (console.duplex.destroyed) console = await openConsole(client, name)
    console.type('echo sum=$((40+2))')
    expect(await console.sees(/sum=\d+/)).toBe('sum=42')
    await client.call({ method: 'DELETE', path: vm })
    await eventually('the VM is gone', GOAL_MS, async () => (await find(vm)) === undefined)
  })

  /** Does it, and a while later kills the leader and one API server; new ones take their places. */
  async function during(delayMs: number, deed: () => Promise<unknown>): Promise<void> {
    const leader = await leading()
    await deed()
    await sleep(delayMs)
    await replace(virtgate.controllers, leader, () => virtgate.startController())
    await replace(virtgate.apiServers, virtgate.apiServers[0], () => virtgate.startApiServer())
  }

  async function replace(
    list: RoleProcess[],
    one: RoleProcess | undefined,
    start: () => Promise<RoleProcess>,
  ): Promise<void> {
    if (!one) throw new Error('there is none to be killed')
    list.splice(list.indexOf(one), 1)
    await one.stop('SIGKILL')
    await start()
  }

  async function leading(): Promise<RoleProcess> {
    return eventually('one leads', 30_000, async () => {
      const answers = await Promise.all(virtgate.controllers.map(leads))
      return virtgate.controllers.find((_one, at) => answers[at])
    })
  }

  async function runs(name: string): Promise<string> {
    const uid = await eventually(`${name} runs`, GOAL_MS, async () => {
      const vmi = await getVmi(client, name)
      return vmi?.status?.phase === 'Running' && vmi.metadata.uid
    })
    expect(virtgate.guests()).toHaveLength(1)
    return uid
  }

  async function reads(name: string, status: string): Promise<void> {
    await eventually(`${name} reads ${status}`, GOAL_MS, async () => {
      const vm = await find(paths(name).vm)
      return vm?.status?.printableStatus === status && virtgate.guests().length === 0
    })
  }

  async function find(path: string): Promise<Vm | undefined> {
    return client.call<Vm>({ method: 'GET', path }).catch((error: unknown) => {
      if (hasReason(error, 'NotFound')) return undefined
      throw error
    })
  }
})

/** 409 is asked again; throws what else was answered. */
function isPending(error: unknown): false {
  if (hasReason(error, 'Conflict')) return false
  throw error
}

async function leads({ ready }: RoleProcess): Promise<boolean> {
  const url = /http:\S+/.exec(ready)?.[0] ?? ''
  const answer = await fetch(`${url}/readyz?verbose`)
  return (await answer.text()).includes('this process leads')
}

/** Looks all the time how many guests there are. */
class Census implements Disposable {
  readonly #timer: NodeJS.Timeout
  #before = 0
  #most = 0

  constructor({ guests }: Pick<Installation, 'guests'>) {
    this.#timer = setInterval(() => {
      const now = guests().length
      // A program that is just being started is there twice for a moment.
      this.#most = Math.max(this.#most, Math.min(now, this.#before))
      this.#before = now
    }, 150)
  }

  /** The most that were there for longer than a moment. */
  most(): number {
    return this.#most
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
