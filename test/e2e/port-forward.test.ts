import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { datagramReader, frameDatagram } from '../../src/lib/datagrams.ts'
import type { GuestRef } from '../../src/rpc/actions.ts'
import type { Worker } from '../../src/worker/worker.ts'
import { dialStream } from '../../src/kube/stream.ts'
import { agentImages, agentVmi } from '../helpers/agent-guest.ts'
import { requireQemu } from '../helpers/guest.ts'
import { eventually, startServer, type TestServer } from '../helpers/server.ts'
import { awaitPhase, bootVm, paths } from '../helpers/vms.ts'
import {
  makeHome,
  openTestWorker,
  pidOf,
  refOf,
  removeAll,
  requestFor,
  Screen,
  type WorkerHome,
  WorkerWatch,
} from '../helpers/worker.ts'

const ECHO = 7
/** The guest's UDP echo answers each datagram with so much of it at most. */
const ECHO_LIMIT = 8192

requireQemu()('ports', () => {
  let server: TestServer

  // Its guest boots while the other one is tested.
  beforeAll(async () => {
    server = await startServer()
    await bootVm(server.client, 'web')
  }, 120_000)

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  describe('of a real guest', () => {
    let home: WorkerHome
    let worker: Worker
    let guest: GuestRef
    let screen: Screen

    beforeAll(async () => {
      home = await makeHome()
      worker = await openTestWorker(home, { images: await agentImages(home) })
      const vmi = agentVmi('echo')
      guest = refOf(vmi)
      await using watch = new WorkerWatch(worker)
      await worker.sync(requestFor(vmi))
      await watch.report(guest.uid, ({ phase }) => phase === 'Running')
      screen = new Screen(
        await worker.console(guest, { mode: 'write', preserveSession: false, user: 'tester' }),
      )
      await screen.shows(/GUEST-READY[^]*:\/root# /)
      screen.type(
        'until ip -4 addr show dev eth0 | grep -q 10.0.2.2; do usleep 100000; done; echo has-$((1+1))-address',
      )
      await screen.shows(/has-2-address/)
    }, 120_000)

    afterAll(async () => {
      screen?.stream.destroy()
      if (worker) await removeAll(worker)
      await worker?.[Symbol.asyncDispose]()
      await home?.[Symbol.asyncDispose]()
    })

    const tcp = (port: number, signal?: AbortSignal) =>
      worker.portForward(guest, { port, protocol: 'tcp' }, signal)
    const udp = (port: number) => worker.portForward(guest, { port, protocol: 'udp' })

    /** Addresses at which the guest's QEMU listens for us. */
    function listening(): string[] {
      const pid = pidOf(home, guest.uid) ?? 0
      return ['tcp', 'udp'].flatMap((protocol) =>
        readFileSync(`/proc/${pid}/net/${protocol}`, 'utf8')
          .split('\n')
          // 127.86.x.y, in the order of the machine; a TCP connection that is taken has the state 01.
          .filter((line) => /^ *\d+: [0-9A-F]{4}567F:[0-9A-F]{4} 00000000:0000 0[A7]/.test(line)),
      )
    }

    test('a TCP connection carries bytes both ways, exactly, and QEMU has stopped listening by then', async () => {
      const stream = await tcp(ECHO)
      expect(listening()).toEqual([])
      const sent = Buffer.alloc(1024 * 1024, 'virtgate-')
      stream.write(sent)
      let received = Buffer.alloc(0)
      for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
        received = Buffer.concat([received, chunk as Buffer])
        if (received.length >= sent.length) break
      }
      expect(received.equals(sent)).toBe(true)
      stream.destroy()
    }, 60_000)

    test('a side that has sent all still receives', async () => {
      const stream = await tcp(80)
      stream.end('GET / HTTP/1.0\r\n\r\n')
      expect((await buffer(stream)).toString()).toContain('Hello from virtgate guest echo')
    })

    test('many connections at once, each its own', async () => {
      // inetd leaves 10 in its queue; what comes beyond waits for TCP to try again, which may take long.
      const count = 8
      const answers = await Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const stream = await tcp(ECHO)
          stream.write(`hello ${index}`)
          const [answer] = await once(stream, 'data')
          stream.destroy()
          return String(answer)
        }),
      )
      expect(answers).toEqual(Array.from({ length: count }, (_, index) => `hello ${index}`))
      expect(listening()).toEqual([])
    }, 30_000)

    test('a port at which nothing listens is refused at once, and says so', async () => {
      await expect(tcp(9999)).rejects.toMatchObject({
        code: 503,
        message: expect.stringContaining('refuses'),
      })
      expect(listening()).toEqual([])
    })

    test('a guest that drops what comes is given up on after 10 s, with 504', async () => {
      screen.type('ip addr del 10.0.2.2/24 dev eth0; ip neigh flush all; echo gone-$((1+2))')
      await screen.shows(/gone-3/)
      const began = Date.now()
      await expect(tcp(ECHO)).rejects.toMatchObject({ code: 504 })
      expect(Date.now() - began).toBeLessThan(11_000)
      expect(listening()).toEqual([])
      screen.type('ip addr add 10.0.2.2/24 dev eth0; ip route add default via 10.0.2.1; echo back-$((2+2))')
      await screen.shows(/back-4/)
      ;(await tcp(ECHO)).destroy()
    }, 40_000)

    test('whoever goes away while the guest is dialled leaves nothing behind', async () => {
      screen.type('ip addr del 10.0.2.2/24 dev eth0; echo gone-$((3+3))')
      await screen.shows(/gone-6/)
      const leaving = new AbortController()
      setTimeout(() => leaving.abort(new Error('has left')), 100)
      await expect(tcp(ECHO, leaving.signal)).rejects.toThrow('has left')
      expect(listening()).toEqual([])
      screen.type('ip addr add 10.0.2.2/24 dev eth0; ip route add default via 10.0.2.1; echo back-$((4+4))')
      await screen.shows(/back-8/)
    }, 30_000)

    test('UDP datagrams go one to one, each way, from the smallest to the largest', async () => {
      const stream = await udp(ECHO)
      expect(listening()).toHaveLength(1)
      const datagrams = readDatagrams(stream)
      for (const size of [1, 1400, 1600, 8192, 9000, 32_769, 65_507]) {
        const sent = Buffer.alloc(size, String(size))
        stream.write(frameDatagram(sent))
        const received = await datagrams()
        expect(received?.equals(sent.subarray(0, ECHO_LIMIT)), `${size} bytes`).toBe(true)
      }
      const words = ['one', 'two', 'three']
      stream.write(Buffer.concat(words.map((word) => frameDatagram(Buffer.from(word)))))
      for (const word of words) expect(String(await datagrams())).toBe(word)
      stream.destroy()
      await once(stream, 'close')
      expect(listening()).toEqual([])
    }, 30_000)

    test('of many who talk to one UDP port each gets its own answers', async () => {
      const streams = await Promise.all(Array.from({ length: 5 }, () => udp(ECHO)))
      expect(listening()).toHaveLength(1)
      const readers = streams.map(readDatagrams)
      for (const round of [1, 2]) {
        streams.forEach((stream, index) => stream.write(frameDatagram(Buffer.from(`${round} from ${index}`))))
        const answers = await Promise.all(readers.map(async (read) => String(await read())))
        expect(answers).toEqual(streams.map((_, index) => `${round} from ${index}`))
      }
      streams.forEach((stream) => stream.destroy())
      await Promise.all(streams.map((stream) => once(stream, 'close')))
      expect(listening()).toEqual([])
    }, 30_000)

    test.skipIf(!mayFilter())(
      'no other user of the machine gets through to a port while QEMU listens',
      async () => {
        const stream = await udp(ECHO)
        const datagrams = readDatagrams(stream)
        const [line = ''] = listening()
        const [, address = '', port = ''] = /: ([0-9A-F]{8}):([0-9A-F]{4})/.exec(line) ?? []
        const host = [6, 4, 2, 0].map((at) => parseInt(address.slice(at, at + 2), 16)).join('.')
        // The stranger's datagram would make QEMU send the guest's answers to the stranger.
        const send = `printf stranger | socat -T1 - UDP:${host}:${parseInt(port, 16)}`
        const { stdout } = spawnSync('setpriv', ['--reuid=65534', '--clear-groups', 'sh', '-c', send], {
          timeout: 5000,
        })
        expect(String(stdout)).toBe('')
        stream.write(frameDatagram(Buffer.from('mine')))
        expect(String(await datagrams())).toBe('mine')
        stream.destroy()
      },
      20_000,
    )

    test.skipIf(!mayFilter())("the guest does not reach what listens on the host's loopback", async () => {
      await using server = createServer((socket) => socket.end('SECRET')).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      screen.type(`nc -w 3 10.0.2.1 ${port} </dev/null; echo over-$((5+5))`)
      await screen.shows(/over-10/)
      expect(screen.text).not.toContain('SECRET')
      expect((await worker.report(guest)).events.map(({ reason }) => reason)).not.toContain('DegradedFeature')
    })

    test('what an earlier worker has left is closed by the one that comes after it', async () => {
      await udp(ECHO)
      expect(listening()).toHaveLength(1)
      screen.stream.destroy()
      await worker[Symbol.asyncDispose]()
      worker = await openTestWorker(home, { images: await agentImages(home) })
      expect(listening()).toEqual([])
      screen = new Screen(
        await worker.console(guest, { mode: 'write', preserveSession: false, user: 'tester' }),
      )
    }, 30_000)
  })

  describe('of a guest through the API', () => {
    beforeAll(() => awaitPhase(server.client, 'web', 'Running'), 120_000)

    const path = (what: string) => paths('web').onVmi(`portforward/${what}`)

    /** What the guest's web server answers; it may not be up yet. */
    async function fetchPage(url: string): Promise<string> {
      const { duplex } = await eventually('a connection', 60_000, () =>
        dialStream(server.client.config, url).catch(() => undefined),
      )
      duplex.write('GET / HTTP/1.0\r\n\r\n')
      return (await buffer(duplex)).toString()
    }

    test.each([
      ['the VMI', path('80')],
      ['the VMI, with the protocol', path('80/tcp')],
      ['the VM', paths('web').onVm('portforward/80')],
    ])(
      'a page comes by the name of %s',
      async (_what, url) => {
        expect(await fetchPage(url)).toContain('Hello from virtgate guest web')
      },
      90_000,
    )

    test.each([
      ['nothing listens', path('9999'), 503],
      ['the port is none', path('0'), 400],
      ['the protocol is none', path('80/sctp'), 400],
      ['there is more behind it', path('80/tcp/x'), 404],
      ['a slash is hidden in it', path('80%2Fudp'), 400],
      ['there is no such guest', paths('none').onVmi('portforward/80'), 404],
      ['there is no such VM', paths('none').onVm('portforward/80'), 404],
    ])('where %s the answer comes before the upgrade', async (_what, url, code) => {
      await expect(dialStream(server.client.config, url)).rejects.toMatchObject({ code })
    })
  })
})

/** Whether packets can be filtered here. */
function mayFilter(): boolean {
  const isRoot = process.getuid?.() === 0
  if (isRoot && spawnSync('nft', ['list', 'tables']).status === 0) return true
  process.stderr.write('SKIPPING TESTS OF ISOLATION: they take root and nftables.\n')
  return false
}

/** Reads one datagram after the other. */
function readDatagrams(stream: Duplex): () => Promise<Buffer | undefined> {
  const iterator = stream.pipe(datagramReader()).iterator()
  return async () => {
    const { value } = await iterator.next()
    return value as Buffer | undefined
  }
}
