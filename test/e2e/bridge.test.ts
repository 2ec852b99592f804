import { readdirSync } from 'node:fs'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AttachmentConfig } from '../../src/kinds/network-attachment.ts'
import type { Vmi } from '../../src/kinds/kubevirt.ts'
import { dialStream } from '../../src/kube/stream.ts'
import { datagramReader, frameDatagram } from '../../src/lib/datagrams.ts'
import type { GuestReport } from '../../src/rpc/actions.ts'
import { tapName } from '../../src/worker/network/bridge/tap.ts'
import { tableOf } from '../../src/worker/network/bridge/rules.ts'
import type { Worker } from '../../src/worker/worker.ts'
import { agentImages, agentVmi } from '../helpers/agent-guest.ts'
import { openBridge, requireBridges, sh, type TestBridge, until } from '../helpers/bridge.ts'
import { requireQemu } from '../helpers/guest.ts'
import { eventually, startServer, type TestServer } from '../helpers/server.ts'
import { awaitPhase, helloVm, paths } from '../helpers/vms.ts'
import {
  makeHome,
  openTestWorker,
  refOf,
  removeAll,
  requestFor,
  Screen,
  TYPING,
  type WorkerHome,
  WorkerWatch,
} from '../helpers/worker.ts'

const ECHO = 7
const LEASED = '02:00:00:21:30:01'
const STATIC = '02:00:00:21:30:02'

/** A NetworkAttachmentDefinition of the bridge. */
function attachment(name: string, bridge: string) {
  const config = JSON.stringify({ cniVersion: '0.3.1', type: 'bridge', bridge, ipam: {} })
  return {
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: { name, namespace: 'default' },
    spec: { config },
  }
}

/** A VMI with one card, on the bridge. */
function bridgedVmi(name: string, macAddress: string): Vmi {
  return agentVmi(name, {
    networks: [{ name: 'lan', multus: { networkName: 'lan' } }],
    domain: { devices: { interfaces: [{ name: 'lan', bridge: {}, macAddress }] } },
  })
}

async function echoTcp(stream: Duplex): Promise<string> {
  stream.write('over the bridge')
  const [answer] = await once(stream, 'data')
  stream.destroy()
  return String(answer)
}

async function echoUdp(stream: Duplex): Promise<string> {
  stream.write(frameDatagram(Buffer.from('datagram')))
  const [answer] = await once(stream.pipe(datagramReader()), 'data')
  stream.destroy()
  return String(answer)
}

requireBridges(requireQemu())('guests on a bridge', () => {
  let bridge: TestBridge
  let home: WorkerHome
  let worker: Worker
  let images: Awaited<ReturnType<typeof agentImages>>

  beforeAll(async () => {
    bridge = await openBridge('vgtest0', '10.213.7', [{ mac: LEASED, last: 40 }])
    home = await makeHome()
    images = await agentImages(home)
    worker = await open()
  }, 60_000)

  afterAll(async () => {
    if (worker) await removeAll(worker)
    await worker?.[Symbol.asyncDispose]()
    await bridge?.[Symbol.asyncDispose]()
    await home?.[Symbol.asyncDispose]()
  }, 60_000)

  const open = () => openTestWorker(home, { images, bridges: [bridge.name] })
  const tapOf = (vmi: Vmi) => tapName(home.stateDir, vmi.metadata.uid, 'lan')
  const requestOf = (vmi: Vmi, config: AttachmentConfig = { bridge: bridge.name }) =>
    requestFor(vmi, { networks: { lan: config } })

  async function boot(vmi: Vmi, config?: AttachmentConfig): Promise<Screen> {
    await using watch = new WorkerWatch(worker)
    await worker.sync(requestOf(vmi, config))
    await watch.report(vmi.metadata.uid, ({ phase }) => phase === 'Running')
    const screen = new Screen(await worker.console(refOf(vmi), TYPING))
    await screen.shows(/GUEST-READY[^]*:\/root# /)
    return screen
  }

  async function hasAddress(vmi: Vmi, address: string): Promise<GuestReport> {
    await using watch = new WorkerWatch(worker)
    const isThere = ({ status }: GuestReport) => status.interfaces?.[0]?.ipAddress === address
    return await watch.report(vmi.metadata.uid, isThere, 30_000)
  }

  async function remove(vmi: Vmi): Promise<void> {
    await using watch = new WorkerWatch(worker)
    await worker.remove(refOf(vmi), { graceSeconds: 0 })
    await watch.removed(vmi.metadata.uid)
  }

  /** What is left of a guest's card on this host. */
  function leftOf(vmi: Vmi): string[] {
    const devices = readdirSync('/sys/class/net').filter((name) => name === tapOf(vmi))
    const tables = sh('nft', 'list', 'tables', 'bridge').includes(tableOf(tapOf(vmi))) ? ['table'] : []
    return [...devices, ...tables]
  }

  function dropped(vmi: Vmi): number {
    const text = sh('nft', 'list', 'counter', 'bridge', tableOf(tapOf(vmi)), 'dropped')
    return Number(/packets (\d+)/.exec(text)?.[1])
  }

  const forward = (vmi: Vmi, protocol: 'tcp' | 'udp', port = ECHO) =>
    worker.portForward(refOf(vmi), { port, protocol })

  test('an address that a DHCP server has given is known, and its ports are reached', async () => {
    const vmi = bridgedVmi('leased', LEASED)
    const screen = await boot(vmi)
    const { status } = await hasAddress(vmi, bridge.at(40))
    expect(status.interfaces).toMatchObject([{ name: 'lan', mac: LEASED, podInterfaceName: tapOf(vmi) }])
    expect(await echoTcp(await forward(vmi, 'tcp'))).toBe('over the bridge')
    expect(await echoUdp(await forward(vmi, 'udp'))).toBe('datagram')
    await expect(forward(vmi, 'tcp', 9999)).rejects.toMatchObject({
      code: 503,
      message: expect.stringContaining('refuses'),
    })

    screen.type('ip link set eth0 down; echo down-$((4+4))')
    await screen.shows(/down-8/)
    sh('ip', 'neigh', 'flush', 'dev', bridge.name)
    const began = Date.now()
    await expect(forward(vmi, 'tcp')).rejects.toMatchObject({ code: 504 })
    expect(Date.now() - began).toBeLessThan(11_000)
    screen.type(`ip link set eth0 up; ip addr replace ${bridge.at(40)}/24 dev eth0; echo up-$((5+4))`)
    await screen.shows(/up-9/)

    // Another address than the leased one, and another hardware address.
    const before = dropped(vmi)
    screen.type(
      `ip addr add ${bridge.at(66)}/24 dev eth0; arping -c 2 -w 3 -I eth0 -s ${bridge.at(66)} ${bridge.at(1)}; echo spoofed-$((1+1))`,
    )
    await screen.shows(/spoofed-2/)
    const afterArp = dropped(vmi)
    expect(afterArp).toBeGreaterThan(before)
    screen.type(
      `ip link set eth0 down; ip link set eth0 address 02:00:00:00:00:99; ip link set eth0 up; ip addr add ${bridge.at(40)}/24 dev eth0; ping -c 2 -W 1 ${bridge.at(1)}; echo masked-$((2+1))`,
    )
    await screen.shows(/ 0 packets received[^]*masked-3/)
    expect(dropped(vmi)).toBeGreaterThan(afterArp)
    expect(sh('ip', 'neigh', 'show', 'dev', bridge.name)).not.toContain(':99')
    screen.stream.destroy()
    await remove(vmi)
    expect(leftOf(vmi)).toEqual([])
  }, 120_000)

  test('a guest that names its own address is reached there, and found again by the next worker', async () => {
    const vmi = bridgedVmi('static', STATIC)
    const screen = await boot(vmi)
    await expect(forward(vmi, 'tcp')).rejects.toMatchObject({ code: 409 })
    // The host's own address is refused, whoever has asked for it.
    screen.type(
      `killall udhcpc; ip addr add ${bridge.at(1)}/24 dev eth0; ping -c 1 -W 1 ${bridge.at(9)}; ip addr flush dev eth0; echo host-$((1+1))`,
    )
    await screen.shows(/host-2/)
    await expect(forward(vmi, 'tcp')).rejects.toMatchObject({ code: 409 })
    screen.type(
      `ip addr add ${bridge.at(50)}/24 dev eth0; ping -c 1 -W 2 ${bridge.at(1)}; echo named-$((2+2))`,
    )
    await screen.shows(/named-4/)
    await hasAddress(vmi, bridge.at(50))
    expect(await echoTcp(await forward(vmi, 'tcp'))).toBe('over the bridge')
    screen.stream.destroy()

    await worker[Symbol.asyncDispose]()
    // What a crash could have left, and somebody who reloads the rules of the host.
    const orphan = tapName(home.stateDir, 'gone', 'lan')
    sh('ip', 'tuntap', 'add', 'dev', orphan, 'mode', 'tap')
    sh('nft', 'delete', 'table', 'bridge', tableOf(tapOf(vmi)))
    worker = await open()
    expect(readdirSync('/sys/class/net')).not.toContain(orphan)
    await worker.sync(requestOf(vmi))
    await until('guard of the tap', () => (leftOf(vmi).includes('table') ? true : undefined))
    const again = new Screen(await worker.console(refOf(vmi), TYPING))
    again.type(`ping -c 1 -W 2 ${bridge.at(1)}; echo again-$((3+3))`)
    await again.shows(/ 1 packets received[^]*again-6/)
    await hasAddress(vmi, bridge.at(50))
    expect(await echoUdp(await forward(vmi, 'udp'))).toBe('datagram')
    again.stream.destroy()
    await remove(vmi)
    expect(leftOf(vmi)).toEqual([])
  }, 120_000)
})

requireBridges(requireQemu())('guests on a bridge, through `virtgate up`', () => {
  let bridge: TestBridge
  let server: TestServer

  beforeAll(async () => {
    bridge = await openBridge('vgtest2', '10.213.9', [{ mac: LEASED, last: 40 }])
    server = await startServer({ args: ['--bridge', bridge.name] })
  }, 60_000)

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    await bridge?.[Symbol.asyncDispose]()
  }, 60_000)

  const attachments = '/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions'

  function vmOn(name: string, networkName: string) {
    const vm = helloVm(name, { runStrategy: 'Always' })
    const { spec } = vm.spec.template
    return {
      ...vm,
      spec: {
        ...vm.spec,
        template: {
          ...vm.spec.template,
          spec: {
            ...spec,
            networks: [{ name: 'lan', multus: { networkName } }],
            domain: {
              ...spec.domain,
              devices: { interfaces: [{ name: 'lan', bridge: {}, macAddress: LEASED }] },
            },
          },
        },
      },
    }
  }

  const findVmi = (name: string) =>
    server.client.call<Vmi>({ method: 'GET', path: paths(name).vmi }).catch(() => undefined)

  test('a guest waits for its network, gets an address there, and its ports are forwarded', async () => {
    await server.client.call({ method: 'POST', path: paths('web').vms, body: vmOn('web', 'default/lan') })
    const waiting = await eventually('what is waited for', 30_000, async () => {
      const vmi = await findVmi('web')
      return vmi?.status?.conditions?.find(({ reason }) => reason === 'FailedCreate')
    })
    expect(waiting.message).toContain('NetworkAttachmentDefinition default/lan not found')
    await server.client.call({ method: 'POST', path: attachments, body: attachment('lan', bridge.name) })
    await awaitPhase(server.client, 'web', 'Running')
    await eventually('its address', 60_000, async () => {
      const vmi = await findVmi('web')
      return vmi?.status?.interfaces?.[0]?.ipAddress === bridge.at(40) ? true : undefined
    })
    const { duplex: stream } = await eventually('a connection', 30_000, () =>
      dialStream(server.client.config, paths('web').onVmi('portforward/80')).catch(() => undefined),
    )
    stream.write('GET / HTTP/1.0\r\n\r\n')
    const [answer] = await once(stream, 'data')
    expect(String(answer)).toContain('200')
    stream.destroy()
    await server.client.call({ method: 'DELETE', path: paths('web').vm })
    await eventually('its end', 30_000, async () => ((await findVmi('web')) === undefined ? true : undefined))
    expect(sh('ip', '-br', 'link', 'show', 'master', bridge.name)).toBe('')
  }, 120_000)

  test('a bridge that guests may not be on is refused, and the guest is told why', async () => {
    await server.client.call({ method: 'POST', path: attachments, body: attachment('eth', 'vgother0') })
    await server.client.call({ method: 'POST', path: paths('other').vms, body: vmOn('other', 'eth') })
    const refused = await eventually('what is waited for', 30_000, async () => {
      const vmi = await findVmi('other')
      return vmi?.status?.conditions?.find(({ reason }) => reason === 'Unschedulable')
    })
    expect(refused.message).toContain('the bridge vgother0')
    await server.client.call({ method: 'DELETE', path: paths('other').vm })
  }, 60_000)
})
