import { roleUri } from '../../certs/roles.ts'
import { systemClock, wait } from '../lib/clock.ts'
import type { Leadership } from '../lib/leadership.ts'
import type { Log } from '../lib/log.ts'
import { connectNode, type NodeClient } from '../rpc/client.ts'
import { NodeDirectory } from '../rpc/nodes.ts'
import type { NodeAddress } from './node-list.ts'
import { openNodeSource, type NodeSource, type NodeSourceOptions } from './node-source.ts'
import type { TlsSource, WatchedTls } from './watched-tls.ts'

/** How a role that calls workers is told of them. */
export interface WorkerCallOptions extends Pick<NodeSourceOptions, 'node' | 'nodes'> {
  /** The namespace of the installation; the Leases of workers are there. */
  installNamespace: string
  /** Our own pair, which workers know us by, and the authority of theirs. */
  tls: TlsSource
}

/** Which workers there are, and how they are called. */
export interface ClusterNodesOptions extends Omit<NodeSourceOptions, 'clock'> {
  /** Our own pair, which workers know us by, and the authority of theirs. */
  tls: WatchedTls
  /** Whether we lead; absent for those that never do. */
  leadership?: Leadership
  signal: AbortSignal
}

/** The nodes of a cluster. Closing it ends the connections and nothing on the nodes. */
export interface ClusterNodes extends AsyncDisposable {
  directory: NodeDirectory
}

/** A start waits this long for the workers to answer; the rest are found when they do. */
const FIRST_ANSWER_MS = 2_000

/** Connects to the workers. Throws `RangeError` where the options contradict themselves, or cannot be read. */
export async function openClusterNodes(options: ClusterNodesOptions): Promise<ClusterNodes> {
  const { log, signal } = options
  await using stack = new AsyncDisposableStack()
  const source = stack.use(openNodeSource({ ...options, clock: systemClock }))
  const directory = stack.use(new NodeDirectory(log))
  const connections = stack.use(new Connections(directory, options))
  follow(source, connections, log)
  const answers = connections.become(await source.current())
  const enough = new AbortController()
  await Promise.race([answers, wait(systemClock, FIRST_ANSWER_MS, AbortSignal.any([signal, enough.signal]))])
  enough.abort()
  const open = stack.move()
  return { directory, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

/** Takes up each new list; where that cannot be read, the one before stays. */
function follow(source: NodeSource, connections: Connections, log: Log): void {
  source.onChange(() => {
    source.current().then(
      (nodes) => connections.become(nodes),
      (error: unknown) => log.error({ err: error }, 'the list of nodes cannot be taken up'),
    )
  })
}

interface Connection {
  address: NodeAddress
  client: NodeClient
}

/** One connection for each node that is wanted. */
class Connections implements AsyncDisposable {
  readonly #open = new Map<string, Connection>()
  readonly #directory: NodeDirectory
  readonly #options: ClusterNodesOptions
  #isClosed = false

  constructor(directory: NodeDirectory, options: ClusterNodesOptions) {
    this.#directory = directory
    this.#options = options
    options.tls.onChange((loaded) => {
      for (const { client } of this.#open.values()) client.reload(loaded)
    })
  }

  /** Leaves the nodes that are no longer wanted and connects to new ones. Settles once each of those has been asked. */
  async become(wanted: readonly NodeAddress[]): Promise<void> {
    // A list that was being read when we were closed.
    if (this.#isClosed && wanted.length > 0) return
    const kept = wanted.filter((node) => isSame(node, this.#open.get(node.name)?.address))
    const names = new Set(kept.map(({ name }) => name))
    const closed = [...this.#open.keys()].filter((name) => !names.has(name)).map((name) => this.#leave(name))
    const added = wanted.filter(({ name }) => !names.has(name)).map((node) => this.#connect(node))
    await Promise.all([...closed, ...added])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    await this.become([])
  }

  async #connect(address: NodeAddress): Promise<void> {
    const { name, host, port } = address
    const { tls, log, leadership } = this.#options
    const client = connectNode({
      address: host,
      port,
      tls: tls.current(),
      serverUri: roleUri({ role: 'worker', node: name }),
      ...(leadership && { leadership }),
      log,
    })
    this.#open.set(name, { address, client })
    await this.#directory.register(name, client, () => client.heardMs())
  }

  async #leave(name: string): Promise<void> {
    const connection = this.#open.get(name)
    this.#open.delete(name)
    this.#directory.unregister(name)
    await connection?.client[Symbol.asyncDispose]()
  }
}

function isSame(one: NodeAddress, other: NodeAddress | undefined): boolean {
  return one.host === other?.host && one.port === other.port
}
