/** What becomes of us when kube-apiserver restarts, cannot be reached, or has forgotten. */
import { createServer, type Server } from 'node:net'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Kind } from '../../src/kinds/kind.ts'
import type { KubeObject } from '../../src/kinds/meta.ts'
import { VMS } from '../../src/kinds/table.ts'
import type { KubeClient } from '../../src/kube/client.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { openInformer } from '../../src/store/informer.ts'
import { openKubeStore } from '../../src/store/kube/store.ts'
import type { ObjectList, Selection } from '../../src/store/store.ts'
import type { AuditedRequest } from '../helpers/kube-cluster/audit.ts'
import { requireKube } from '../helpers/kube-cluster/binaries.ts'
import { startControlPlane, type ControlPlane } from '../helpers/kube-cluster/control-plane.ts'
import { installVirtgate, type Installation } from '../helpers/kube-cluster/installation.ts'
import { awaitAvailable } from '../helpers/kube-cluster/objects.ts'
import { eventually } from '../helpers/server.ts'
import { getVmi, helloVm, paths } from '../helpers/vms.ts'
import { silentLog } from '../helpers/worker.ts'

const AWAY_MS = 60_000
/** Longest time from the end of a trouble until all is as before; informers wait up to 30 s between tries. */
const RECOVERY_MS = 60_000

requireKube()('while kube-apiserver is in trouble', () => {
  const stack = new AsyncDisposableStack()
  let plane: ControlPlane
  let virtgate: Installation
  let client: KubeClient

  beforeAll(async () => {
    plane = stack.use(await startControlPlane())
    virtgate = stack.use(await installVirtgate(plane))
    ;({ client } = plane.admin)
    await works('before')
  })
  afterAll(() => stack.disposeAsync())

  test('at rest we ask for little', async () => {
    await works('rest')
    await sleep(5_000)
    const since = Date.now()
    await sleep(20_000)
    expect((await ours(since)).map(({ verb, uri }) => `${verb} ${uri}`).length).toBeLessThan(40)
  })

  test('a restart is recovered from, and no tight loop follows', async () => {
    await create('during-restart')
    await plane.apiServer().stop('SIGKILL')
    const since = Date.now()
    await plane.restartApiServer()
    await works('restarted')
    await eventually('what was created before the restart was seen', RECOVERY_MS, () =>
      hasVmi('during-restart'),
    )
    expect((await ours(since)).length).toBeLessThan(300)
  })

  test(
    'nobody at its address for a minute: few tries, and all is well again',
    { timeout: 300_000 },
    async () => {
      await plane.apiServer().stop('SIGKILL')
      // It would knock, too.
      plane.controllerManager.kill('SIGSTOP')
      const knocks = await listenInstead(Number(new URL(plane.url).port))
      await sleep(AWAY_MS)
      const tries = knocks.count()
      await knocks.close()
      plane.controllerManager.kill('SIGCONT')
      expect(tries).toBeGreaterThan(0)
      expect(tries).toBeLessThan(250)
      const since = Date.now()
      await plane.restartApiServer()
      await works('reachable-again')
      expect((await ours(since)).length).toBeLessThan(400)
    },
  )

  test('mute for a minute: all is well again', { timeout: 300_000 }, async () => {
    plane.apiServer().kill('SIGSTOP')
    const since = Date.now()
    await sleep(AWAY_MS)
    plane.apiServer().kill('SIGCONT')
    await works('speaking-again')
    expect((await ours(since)).length).toBeLessThan(500)
  })

  test('a watch from a version that is forgotten gets 410, and its informer lists anew, once', async () => {
    const store = openKubeStore(client)
    await create('old')
    const before = await store.list(VMS)
    for (let count = 0; count < 50; count++) await touch('old', count)
    await client.call({ method: 'DELETE', path: paths('old').vm })
    await plane.apiServer().stop('SIGKILL')
    await plane.etcd.compact()
    await plane.restartApiServer()
    await works('new')
    const watch = store.watch(VMS, before.resourceVersion, {}, AbortSignal.timeout(RECOVERY_MS))
    await expect(watch[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 410 })

    const lists: string[] = []
    // As one whose connection was away all the while: it begins with what was there before.
    const source = {
      ...store,
      async list<T extends KubeObject>(kind: Kind<T>, selection?: Selection): Promise<ObjectList<T>> {
        lists.push(kind.plural)
        // It is asked for VMs alone.
        return lists.length === 1 ? (before as ObjectList<never>) : store.list(kind, selection)
      },
    }
    await using informer = openInformer(source, VMS, {}, { clock: systemClock, log: silentLog })
    await eventually(
      'the change is seen',
      RECOVERY_MS,
      async () => informer.get('default', 'new') !== undefined,
    )
    expect(informer.get('default', 'old')).toBeUndefined()
    await sleep(5_000)
    expect(lists).toEqual(['virtualmachines', 'virtualmachines'])
  })

  test(
    'history that is forgotten is listed anew, and no change is missed',
    { timeout: 300_000 },
    async () => {
      await create('stays')
      await create('goes')
      await eventually('both run', RECOVERY_MS, async () => (await hasVmi('stays')) && (await hasVmi('goes')))
      const [controller] = virtgate.controllers
      if (!controller) throw new Error('there is no controller')
      process.kill(controller.pid, 'SIGSTOP')
      await client.call({ method: 'DELETE', path: paths('goes').vm })
      for (let count = 0; count < 50; count++) await touch('stays', count)
      await create('comes')
      await plane.apiServer().stop('SIGKILL')
      await plane.etcd.compact()
      await plane.restartApiServer()
      const since = Date.now()
      process.kill(controller.pid, 'SIGCONT')
      await eventually('what was deleted meanwhile is gone', RECOVERY_MS, async () => !(await hasVmi('goes')))
      await eventually('what was created meanwhile runs', RECOVERY_MS, () => hasVmi('comes'))
      await works('after-compaction')
      const lists = (await ours(since)).filter(
        ({ verb, uri }) => verb === 'list' && uri.includes('/virtualmachines?'),
      )
      expect(lists).not.toEqual([])
      expect((await ours(since)).length).toBeLessThan(400)
    },
  )

  /** A VM that is created gets its VMI, and subresources and webhooks answer. */
  async function works(name: string): Promise<void> {
    await awaitAvailable(plane)
    await eventually(`${name} is created`, RECOVERY_MS, () =>
      create(name).then(
        () => true,
        () => false,
      ),
    )
    await eventually(`${name} has a VMI`, RECOVERY_MS, () => hasVmi(name))
    await eventually(`${name} is expanded`, RECOVERY_MS, () =>
      client
        .call<object>({ method: 'GET', path: paths(name).onVm('expand-spec') })
        .catch(() => false as const),
    )
  }

  async function create(name: string): Promise<void> {
    const body = helloVm(name, { runStrategy: 'Always' })
    const signal = AbortSignal.timeout(20_000)
    await client.call({ method: 'POST', path: paths(name).vms, body, signal })
  }

  async function touch(name: string, count: number): Promise<void> {
    await client.call({
      method: 'PATCH',
      path: paths(name).vm,
      contentType: 'application/merge-patch+json',
      body: { metadata: { annotations: { count: String(count) } } },
    })
  }

  async function hasVmi(name: string): Promise<boolean> {
    return (await getVmi(client, name)) !== undefined
  }

  /** What our processes have asked for since then. */
  async function ours(since: number): Promise<AuditedRequest[]> {
    const requests = await plane.requests()
    return requests.filter(
      ({ user, at }) => user.startsWith('system:serviceaccount:kubevirt:') && at >= since,
    )
  }
})

/** Answers each connection by hanging up, and counts them. */
async function listenInstead(port: number): Promise<{ count(): number; close(): Promise<void> }> {
  let count = 0
  const server: Server = createServer((socket) => {
    count += 1
    socket.on('error', () => {})
    socket.destroy()
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    count: () => count,
    async close() {
      server.close()
      await once(server, 'close')
    },
  }
}
