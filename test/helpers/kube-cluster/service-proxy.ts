import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'

/** Where a Service leads, by the number of its port: the pods of the moment, as `port` of 127.0.0.1. */
export type Backends = () => ReadonlyMap<number, readonly number[]>

/** Does for one Service what kube-proxy does on nodes. */
export interface ServiceProxy extends AsyncDisposable {
  /** Connections that have been made so far. */
  count(): number
}

/**
 * Listens at the address of a Service and passes each connection to one of the pods in turn; to the next where one does
 * not listen, and cuts it where none does.
 */
export async function openServiceProxy(
  address: string,
  ports: readonly number[],
  backends: Backends,
): Promise<ServiceProxy> {
  const sockets = new Set<Socket>()
  let made = 0
  const servers: Server[] = []
  for (const port of ports) {
    const server = createServer({ allowHalfOpen: true }, (client) => {
      keep(sockets, client)
      const pods = backends().get(port) ?? []
      void forward(client, pods, made++, sockets)
    })
    servers.push(server.listen(port, address))
    await once(server, 'listening')
  }
  return {
    count: () => made,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
    },
  }
}

async function forward(
  client: Socket,
  pods: readonly number[],
  turn: number,
  sockets: Set<Socket>,
): Promise<void> {
  for (const [index] of pods.entries()) {
    const pod = await dial(pods[(turn + index) % pods.length] ?? 0)
    if (!pod) continue
    keep(sockets, pod)
    // A side that breaks takes the other with it.
    await Promise.allSettled([pipeline(client, pod), pipeline(pod, client)])
    return
  }
  client.destroy()
}

async function dial(port: number): Promise<Socket | undefined> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  try {
    await once(socket, 'connect')
    return socket
  } catch {
    return undefined
  }
}

function keep(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket)
  socket.on('error', () => {})
  socket.once('close', () => sockets.delete(socket))
}
