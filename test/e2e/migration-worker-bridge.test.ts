import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AttachmentConfig } from '../../src/kinds/network-attachment.ts'
import type { GuestReport } from '../../src/rpc/actions.ts'
import { agentImages, agentVmi } from '../helpers/agent-guest.ts'
import { openBridge, requireBridges, sh, type TestBridge } from '../helpers/bridge.ts'
import { requireQemu } from '../helpers/guest.ts'
import { depart, reaches } from '../helpers/migration.ts'
import { eventually } from '../helpers/server.ts'
import { TestNode, TwoNodes } from '../helpers/two-nodes.ts'
import {
  makeHome,
  refOf,
  requestFor,
  Screen,
  TYPING,
  type WorkerHome,
  WorkerWatch,
} from '../helpers/worker.ts'

const MAC = '02:00:00:21:40:01'
const ECHO = 7

/** A connection to the echo service of a guest, over which a numbered line goes twenty times a second. */
class Talk implements Disposable {
  readonly #socket: Socket
  readonly #timer: NodeJS.Timeout
  #sent = ''
  #heard = ''
  #lines = 0
  failure: Error | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', (error) => (this.failure = error))
    socket.on('data', (bytes) => (this.#heard += String(bytes)))
    this.#timer = setInterval(() => this.#say(), 50)
  }

  static async open(address: string): Promise<Talk> {
    const socket = connect({ host: address, port: ECHO })
    await once(socket, 'connect')
    return new Talk(socket)
  }

  /** Waits until so many more lines came back; throws where anything else came, or the connection has ended. */
  async goesOn(lines: number): Promise<void> {
    const wanted = this.#lines + lines
    const isBack = () => {
      if (this.failure) throw this.failure
      if (!this.#sent.startsWith(this.#heard))
        throw new Error(`not what was sent: ${this.#heard.slice(-200)}`)
      return this.#heard.includes(`line ${wanted}\n`)
    }
    await eventually(`line ${wanted} is back`, 30_000, async () => isBack())
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#socket.destroy()
  }

  #say(): void {
    const line = `line ${++this.#lines}\n`
    this.#sent += line
    this.#socket.write(line)
  }
}

requireBridges(requireQemu())('guests on a bridge that two nodes have', () => {
  let bridge: TestBridge
  let imagesHome: WorkerHome
  let nodes: TwoNodes
  let a: TestNode
  let b: TestNode

  beforeAll(async () => {
    bridge = await openBridge('vgtest4', '10.213.11', [{ mac: MAC, last: 40 }])
    imagesHome = await makeHome()
    nodes = await TwoNodes.open({ images: await agentImages(imagesHome), bridges: [bridge.name] })
    ;({ a, b } = nodes)
  })
  afterAll(async () => {
    await nodes?.[Symbol.asyncDispose]()
    await bridge?.[Symbol.asyncDispose]()
    await imagesHome?.[Symbol.asyncDispose]()
  })

  const bridged = (name: string) =>
    agentVmi(name, {
      networks: [{ name: 'lan', multus: { networkName: 'lan' } }],
      domain: { devices: { interfaces: [{ name: 'lan', bridge: {}, macAddress: MAC }] } },
    })
  /** The device at which the bridge has last seen the guest. */
  const seenAt = () =>
    new RegExp(`^${MAC} dev (\\S+) .*master ${bridge.name}`, 'm').exec(sh('bridge', 'fdb'))?.[1]
  const cardOf = async (node: TestNode, vmi: Parameters<typeof refOf>[0]) =>
    (await node.worker.report(refOf(vmi))).status.interfaces?.[0]

  test('keep their address, their connections and what guards them, and the network finds them at once', async () => {
    const vmi = bridged('roamer')
    const networks: Record<string, AttachmentConfig> = { lan: { bridge: bridge.name } }
    await using watch = new WorkerWatch(a.worker)
    await a.worker.sync(requestFor(vmi, { networks }))
    const hasLease = ({ status }: GuestReport) => status.interfaces?.[0]?.ipAddress === bridge.at(40)
    const { conditions } = await watch.report(vmi.metadata.uid, hasLease)
    expect(conditions).toContainEqual({ type: 'LiveMigratable', status: 'True' })
    const before = await cardOf(a, vmi)
    expect(seenAt()).toBe(before?.podInterfaceName)
    const stream = await a.worker.portForward(refOf(vmi), { port: ECHO, protocol: 'tcp' })
    stream.destroy()
    using talk = await Talk.open(bridge.at(40))
    await talk.goesOn(10)

    const journey = await depart(a.worker, b.worker, vmi, { epoch: 1, request: { networks } })
    expect(await reaches(b.worker, journey, 'done', 'failed')).toMatchObject({ phase: 'done' })
    await reaches(a.worker, journey, 'handedOver')
    await a.release(journey)

    // Nobody has sent it anything yet: it has said itself where it is now.
    const after = await cardOf(b, vmi)
    expect(after?.podInterfaceName).not.toBe(before?.podInterfaceName)
    expect(after).toMatchObject({ mac: MAC, ipAddress: bridge.at(40) })
    await expect.poll(seenAt, { timeout: 5_000 }).toBe(after?.podInterfaceName)
    // The connection that was open before has come along, with all that was said on the way.
    await talk.goesOn(10)
    const again = await b.worker.portForward(refOf(vmi), { port: ECHO, protocol: 'tcp' })
    again.write('over the bridge')
    const [answer] = await once(again, 'data')
    expect(String(answer)).toBe('over the bridge')
    again.destroy()
    // It is held to the address that it was given at the source.
    const screen = new Screen(await b.worker.console(refOf(vmi), TYPING))
    const wrong = bridge.at(66)
    screen.type(
      `ip addr add ${wrong}/24 dev eth0; arping -c 2 -w 3 -I eth0 -s ${wrong} ${bridge.at(1)}; echo over-$((1+1))`,
    )
    await screen.shows(/Received 0 [^]*over-2/)
    screen.stream.destroy()
    await b.clear()
    expect(sh('ip', '-br', 'link', 'show', 'master', bridge.name)).toBe('')
  })

  test('do not go where the bridge is not, which says so', async () => {
    const vmi = bridged('homebody')
    const networks: Record<string, AttachmentConfig> = { lan: { bridge: bridge.name } }
    await using watch = new WorkerWatch(a.worker)
    await a.worker.sync(requestFor(vmi, { networks }))
    await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
    await using without = await TestNode.open('node-c')
    await expect(
      depart(a.worker, without.worker, vmi, { epoch: 1, request: { networks } }),
    ).rejects.toMatchObject({
      code: 409,
      message: expect.stringContaining(`--bridge ${bridge.name}`) as string,
    })
    expect(await a.worker.report(refOf(vmi))).toMatchObject({ phase: 'Running' })
  })
})
