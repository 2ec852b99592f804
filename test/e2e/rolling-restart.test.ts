import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import type { KubeClient } from '../../src/kube/client.ts'
import type { Vm } from '../../src/kinds/kubevirt.ts'
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
  writeServingPair,
  type PairFiles,
} from '../helpers/cluster-apiserver.ts'
import { requireQemu } from '../helpers/guest.ts'
import { openObjectServer, type ObjectServer } from '../helpers/object-server.ts'
import { makeAuthority, type TestAuthority } from '../helpers/pki.ts'
import type { RoleProcess } from '../helpers/role-process.ts'
import { request } from '../helpers/raw-request.ts'
import { guestPids } from '../helpers/server.ts'
import { refusalOf, until } from '../helpers/stream-server.ts'
import { awaitPhase, helloVm, paths } from '../helpers/vms.ts'

const NODE = 'node-a'
const NAME = 'steady'
/** Long enough to look at what goes on meanwhile. */
const DRAIN_SECONDS = 20

/** Source: security C9. */
requireQemu()('two API servers, of which one after the other is restarted', () => {
  const stack = new AsyncDisposableStack()
  let objects: ObjectServer
  let home: string
  let authority: TestAuthority
  /** Shown by all of them: tickets of one are good at the others. */
  let serving: PairFiles
  let replicas: RoleProcess[]
  let clients: KubeClient[]

  beforeAll(async () => {
    objects = stack.use(await openObjectServer({ workers: [NODE] }))
    home = await makeHome(stack)
    await allowEmulation(objects.client)
    const address = addressOf(stack.use(await startWorker(objects, home, NODE)))
    const nodes = join(objects.dir, 'nodes.yaml')
    await writeFile(nodes, `- {name: ${NODE}, address: "${address}"}\n`)
    stack.use(await startController(objects, { nodes }))
    authority = await makeAuthority()
    await createAccounts(objects.client)
    serving = await writeServingPair(objects, authority)
    replicas = []
    clients = []
    for (let count = 0; count < 2; count += 1) {
      const flags = { node: `${NODE}=${address}`, drain: String(DRAIN_SECONDS) }
      const replica = stack.use(await startApiServer(objects, authority, serving, flags))
      replicas.push(replica)
      clients.push(stack.use(await clientOf(objects, replica, authority, 'editor')))
    }
    const { vms, onVm } = paths(NAME)
    await objects.client.call<Vm>({ method: 'POST', path: vms, body: helloVm(NAME) })
    await clients[0]!.call({ method: 'PUT', path: onVm('start'), body: {} })
    await awaitPhase(objects.client, NAME, 'Running')
  }, 180_000)
  afterAll(async () => {
    for (const pid of guestPids(home)) process.kill(pid, 'SIGKILL')
    await stack.disposeAsync()
  })

  /** The console at a replica, with what it has shown so far. */
  async function dial(replica: number, query = '', withToken = true): Promise<WebSocket> {
    const { config } = clients[replica]!
    const url = `${config.server.replace('https', 'wss')}${paths(NAME).onVmi('console')}${query}`
    const text = withToken ? await config.token() : undefined
    const headers = text === undefined ? {} : { authorization: `Bearer ${text}` }
    return new WebSocket(url, ['plain.kubevirt.io'], { ca: authority.cert, headers })
  }

  function screenOf(socket: WebSocket): { text: string } {
    const screen = { text: '' }
    socket.on('message', (data: Buffer) => (screen.text += data.toString('latin1')))
    return screen
  }

  test('a stream goes on while its server drains, new ones go to the other, and it is told why it ends', async () => {
    const console = await dial(0)
    const screen = screenOf(console)
    const closed = once(console, 'close').then(([code, reason]) => [code, String(reason)])
    await once(console, 'open')
    console.send(Buffer.from('\n'))
    await until(() => /GUEST-READY|# $/.test(screen.text))

    const stopped = replicas[0]!.stop()
    // From here on it opens no stream, as whoever asks for its readiness finds out; all else it does.
    const { config } = clients[0]!
    await expect
      .poll(async () => {
        const { status, body } = await request(config, '/readyz')
        return [status, String(body)]
      })
      .toEqual([500, expect.stringContaining('[-]shutdown')])
    expect((await request(config, '/apis/subresources.kubevirt.io/v1/version')).status).toBe(200)
    const late = await dial(0, '?mode=view')
    const [error] = await once(late, 'error')
    expect(String(error)).toMatch(/503/)

    const viewer = await dial(1, '?mode=view')
    const seen = screenOf(viewer)
    await once(viewer, 'open')
    console.send(Buffer.from('echo still=$((6*7))\n'))
    await until(() => screen.text.includes('still=42') && seen.text.includes('still=42'))

    expect(await closed).toEqual([1001, 'the server is going away; connect again'])
    expect(await stopped).toBe(0)
    // All else of the server was there until its last stream had ended.
    expect(replicas[0]!.output()).not.toContain('an Event is lost')

    // Whoever connects again finds the guest as it was, and the viewer has noticed nothing.
    const again = await dial(1)
    const next = screenOf(again)
    await once(again, 'open')
    again.send(Buffer.from('echo again=$((7*7))\n'))
    await until(() => next.text.includes('again=49') && seen.text.includes('again=49'))
    expect(viewer.readyState).toBe(WebSocket.OPEN)
    again.close()
    viewer.close()
  }, 120_000)

  test('a new replica takes in tickets of the other, each once', async () => {
    const path = `${paths(NAME).onVmi('console')}/ticket`
    const { status } = await clients[1]!.call<{ status: { ticket: string } }>({
      method: 'POST',
      path,
      body: {},
    })
    const flags = { node: `${NODE}=127.0.0.1:1` }
    replicas[0] = stack.use(await startApiServer(objects, authority, serving, flags))
    clients[0] = stack.use(await clientOf(objects, replicas[0], authority, 'editor'))
    const query = `?mode=view&ticket=${status.ticket}`
    // Its node is not reached: the ticket is used up all the same.
    expect((await refusalOf(await dial(0, query, false))).code).toBe(503)
    const { code, body } = await refusalOf(await dial(1, query, false))
    expect([code, body.message]).toEqual([401, 'the ticket was used before: ask for a new one'])
  }, 60_000)
})
