import { once } from 'node:events'
import { spawnSync } from 'node:child_process'
import { afterAll, expect, test } from 'vitest'
import { requireQemu } from '../helpers/guest.ts'
import { guestPids, startServer, type TestServer } from '../helpers/server.ts'
import { awaitPhase, bootVm, getVmi, openConsole } from '../helpers/vms.ts'

/** Pids of the worker processes that belong to this server's data directory. */
function workerPids(data: string): number[] {
  const { stdout } = spawnSync('pgrep', ['-f', `virtgate.mjs worker .*${data}`], { encoding: 'utf8' })
  return stdout.split('\n').filter(Boolean).map(Number)
}

async function onlyGuest(server: TestServer): Promise<number> {
  const [pid, ...more] = guestPids(server.data)
  expect(more).toEqual([])
  expect(pid).toBeDefined()
  return pid ?? 0
}

requireQemu()('guests outlive our processes', () => {
  // Last come, first gone: one that was started anew has the data of the one before.
  const servers = new AsyncDisposableStack()
  afterAll(() => servers.disposeAsync())

  test.each([
    ['one process', []],
    ['a worker process of its own', ['--workers', '1']],
  ])(
    'kill -9 of the whole server in %s leaves the guest running; a restart serves it again',
    async (_name, args) => {
      const server = servers.use(await startServer({ args }))
      await bootVm(server.client, 'survivor')
      const before = await awaitPhase(server.client, 'survivor', 'Running')
      const console = await openConsole(server.client, 'survivor')
      await console.sees(/GUEST-READY/)
      console.type('n=0; while true; do n=$((n+1)); echo tick $n; sleep 1; done')
      await console.sees(/tick 2/)
      const pid = await onlyGuest(server)
      const cut = once(console.duplex, 'close')
      for (const worker of workerPids(server.data)) process.kill(worker, 'SIGKILL')
      await server.stop('SIGKILL')
      await cut
      expect(guestPids(server.data)).toEqual([pid])

      const revived = servers.use(await server.again())
      const vmi = await getVmi(revived.client, 'survivor')
      expect(vmi?.status?.phase).toBe('Running')
      expect(vmi?.metadata.uid).toBe(before.metadata.uid)
      const again = await openConsole(revived.client, 'survivor')
      const tick = await again.sees(/tick (\d+)/)
      expect(Number(/\d+/.exec(tick)?.[0])).toBeGreaterThan(2)
      expect(await onlyGuest(revived)).toBe(pid)
    },
  )

  test('kill -9 of a worker leaves the guest running; the next worker serves it again', async () => {
    const server = servers.use(await startServer({ args: ['--workers', '2'] }))
    await bootVm(server.client, 'handed-over')
    await awaitPhase(server.client, 'handed-over', 'Running')
    const console = await openConsole(server.client, 'handed-over')
    await console.sees(/GUEST-READY/)
    const pid = await onlyGuest(server)
    const workers = workerPids(server.data)
    expect(workers).toHaveLength(2)
    const cut = once(console.duplex, 'close')
    for (const worker of workers) process.kill(worker, 'SIGKILL')
    await cut
    expect((await getVmi(server.client, 'handed-over'))?.status?.phase).toBe('Running')

    const again = await openConsoleSoon(server)
    again.type('echo alive=$((6*7))')
    await again.sees(/alive=42/)
    expect(await onlyGuest(server)).toBe(pid)
    expect((await getVmi(server.client, 'handed-over'))?.status?.phase).toBe('Running')
  })
})

/** The console, as soon as a worker answers for the guest again. */
async function openConsoleSoon(server: TestServer) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await openConsole(server.client, 'handed-over')
    } catch (error) {
      if (attempt === 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}
