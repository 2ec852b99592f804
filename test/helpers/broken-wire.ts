import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import type { IncomingReply } from '../../src/rpc/actions.ts'

/** A network between two nodes that can break. */
export interface BrokenWire extends AsyncDisposable {
  /** Where the target is to be found behind it. */
  to(reply: IncomingReply): Promise<IncomingReply>
  /** All connections break, and no new ones are let through. */
  cut(): void
  mend(): void
  /** How many connections were let through. */
  dialled(): number
}

/** One that is whole. `tap` is shown all that goes over it, in either direction. */
export function openWire(tap?: (chunk: Buffer) => void): BrokenWire {
  const servers: Server[] = []
  const sockets = new Set<Socket>()
  let isCut = false
  let dialled = 0
  const destroy = (): void => sockets.forEach((socket) => socket.destroy())
  const join = (near: Socket, far: Socket): void => {
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      one.pipe(other)
      if (tap) one.on('data', tap)
      one.on('error', () => {})
      one.once('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
  }
  return {
    async to({ address, ports, ...rest }) {
      const behind: Record<string, number> = {}
      for (const [port, channel] of Object.entries(ports)) {
        const server = createServer((near) => {
          if (isCut) {
            near.destroy()
            return
          }
          dialled += 1
          join(near, connect(Number(port), address))
        })
        servers.push(server)
        server.listen(0, '127.0.0.1')
        await once(server, 'listening')
        behind[(server.address() as AddressInfo).port] = channel
      }
      return { ...rest, address: '127.0.0.1', ports: behind }
    },
    cut() {
      isCut = true
      destroy()
    },
    mend() {
      isCut = false
    },
    dialled: () => dialled,
    async [Symbol.asyncDispose]() {
      destroy()
      for (const server of servers) await new Promise((resolve) => server.close(resolve))
    },
  }
}
