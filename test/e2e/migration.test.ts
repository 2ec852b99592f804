import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Node } from '../../src/kinds/core.ts'
import type { Vmi, Vmim } from '../../src/kinds/kubevirt.ts'
import { requireQemu } from '../helpers/guest.ts'
import { eventually, guestPids, startServer, type TestServer } from '../helpers/server.ts'
import { awaitPhase, bootVm, getVmi, openConsole, paths } from '../helpers/vms.ts'

const MIGRATIONS = '/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstancemigrations'
/** A line ten times a second: `c=17`. */
const COUNT = 'i=0; while :; do i=$((i+1)); echo c=$i; sleep 0.1; done &'
/** The acceptance asks for 20. */
const ROUNDS = Number(process.env['MIGRATION_ROUNDS'] ?? 6)
const VICTIMS = ['source worker', 'target worker', 'server with its controllers'] as const

/** Pids of the worker process of a node. */
function workerPids(data: string, node: string): number[] {
  const { stdout } = spawnSync('pgrep', ['-f', `worker --node ${node} .*--state=${data}/`], {
    encoding: 'utf8',
  })
  return stdout.split('\n').filter(Boolean).map(Number)
}

requireQemu()('a guest that moves between two workers', () => {
  let server: TestServer

  beforeAll(async () => {
    server = await startServer({ args: ['--workers', '2'] })
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
  })

  const list = async (): Promise<Vmim[]> => {
    const { items } = await server.client.call<{ items: Vmim[] }>({ method: 'GET', path: MIGRATIONS })
    return items
  }

  /** Has the VM moved, and waits for the end of it. */
  async function move(name: string): Promise<Vmim> {
    const before = new Set((await list()).map(({ metadata }) => metadata.uid))
    await server.client.call<void>({ method: 'PUT', path: paths(name).onVm('migrate'), body: {} })
    return eventually(`the migration of ${name} is over`, 60_000, async () => {
      const found = (await list()).find(({ metadata }) => !before.has(metadata.uid))
      return found?.status?.phase === 'Succeeded' || found?.status?.phase === 'Failed' ? found : undefined
    })
  }

  /** What the guest counts to, on a console of its own. */
  async function counted(name: string): Promise<number> {
    const console = await openConsole(server.client, name)
    try {
      await console.sees(/c=\d+\r?\n[^]*c=\d+\r?\n/)
      return Math.max(...[...console.text().matchAll(/c=(\d+)\r?\n/g)].map(([, count]) => Number(count)))
    } finally {
      console.close()
    }
  }

  test('it goes on there, and back, with one QEMU each time', async () => {
    const { client } = server
    await bootVm(client, 'mover')
    const running = await awaitPhase(client, 'mover', 'Running')
    const console = await openConsole(client, 'mover')
    await console.sees(/GUEST-READY/)
    console.type(COUNT)
    await console.sees(/c=3/)
    console.close()
    let last = await counted('mover')
    let node = running.status?.nodeName
    for (const round of [1, 2]) {
      const over = await move('mover')
      expect(over.status).toMatchObject({ phase: 'Succeeded' })
      const vmi: Vmi | undefined = await getVmi(client, 'mover')
      expect(vmi?.status?.nodeName).not.toBe(node)
      expect(vmi?.metadata.labels?.['kubevirt.io/nodeName']).toBe(vmi?.status?.nodeName)
      node = vmi?.status?.nodeName
      const now = await counted('mover')
      expect({ round, isFurther: now > last }).toEqual({ round, isFurther: true })
      last = now
      await eventually('one QEMU is left', 10_000, async () => guestPids(server.data).length === 1)
    }
    expect(node).toBe(running.status?.nodeName)
  }, 180_000)

  /** Kills a part of it, with no time to say goodbye. */
  async function kill(victim: (typeof VICTIMS)[number], source: string): Promise<void> {
    if (victim === 'server with its controllers') {
      await server.stop('SIGKILL')
      server = await server.again()
      return
    }
    const { items } = await server.client.call<{ items: Node[] }>({ method: 'GET', path: '/api/v1/nodes' })
    const target = items.find(({ metadata }) => metadata.name !== source)?.metadata.name ?? ''
    const pids = workerPids(server.data, victim === 'source worker' ? source : target)
    expect(pids).toHaveLength(1)
    for (const pid of pids) process.kill(pid, 'SIGKILL')
  }

  test(
    'whatever is killed at whatever moment, one guest runs',
    async () => {
      const story: string[] = []
      let last = await counted('mover')
      for (let round = 0; round < ROUNDS; round++) {
        // In turn, so that each is; at random, so that each moment is.
        const victim = VICTIMS[round % VICTIMS.length] ?? 'source worker'
        const delayMs = Math.round(Math.random() * 2500)
        const source = (await getVmi(server.client, 'mover'))?.status?.nodeName ?? ''
        const before = new Set((await list()).map(({ metadata }) => metadata.uid))
        await server.client.call<void>({ method: 'PUT', path: paths('mover').onVm('migrate'), body: {} })
        await sleep(delayMs)
        await kill(victim, source)
        const over = await eventually(`round ${round} is over`, 120_000, async () => {
          const found = (await list()).find(({ metadata }) => !before.has(metadata.uid))
          return found?.status?.phase === 'Succeeded' || found?.status?.phase === 'Failed' ? found : undefined
        })
        const { phase, migrationState } = over.status ?? {}
        story.push(`${victim} after ${delayMs} ms: ${phase} ${migrationState?.failureReason ?? ''}`)
        await eventually('one QEMU is left', 60_000, async () => guestPids(server.data).length === 1)
        const vmi = await getVmi(server.client, 'mover')
        expect({ story, phase: vmi?.status?.phase }).toEqual({ story, phase: 'Running' })
        const now = await eventually('the guest is reached', 60_000, () =>
          counted('mover').catch(() => undefined),
        )
        expect({ story, isFurther: now > last }).toEqual({ story, isFurther: true })
        last = now
      }
      process.stderr.write(`${story.join('\n')}\n`)
    },
    60_000 + ROUNDS * 60_000,
  )
})
