import { roleUri } from '../../certs/roles.ts'
import type { WatchedFiles } from '../../certs/watch-files.ts'
import { systemClock, wait } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { connectNode, type NodeClient } from '../rpc/client.ts'
import { NodeDirectory } from '../rpc/nodes.ts'
import { assertDistinct, onFileChange, parseNode, readNodeList, type NodeAddress } from './node-list.ts'
import { openWatchedTls, type WatchedTls } from './watched-tls.ts'

/** Which workers there are, and how they are called. */
export interface ClusterNodesOptions {
  /** `NAME=ADDRESS:PORT` each. */
  node: readonly string[]
  /** A YAML list of `{name, address}`, read again when it changes. Takes the place of `node`. */
  nodes?: string
  /** Our own pair, which workers know us by, and the authority of theirs; PEM files, read again when they change. */
  tls: WatchedFiles
  log: Log
  signal: AbortSignal
}

/** The nodes of a cluster. Closing it ends the connections and nothing on the nodes. */
export interface ClusterNodes extends AsyncDisposable {
  directory: NodeDirectory
}

/** A start waits this long for the workers to answer; the rest are found when they do. */
const FIRST_ANSWER_MS = 2_000

/** Connects to the workers. Throws `RangeError` where the options name none, or cannot be read. */
export async function openClusterNodes(options: ClusterNodesOptions): Promise<ClusterNodes> {
  const { log, nodes: file, signal } = options
  await using stack = new AsyncDisposableStack()
  assertNamed(options)
  const tls = stack.use(await openWatchedTls(options.tls, log))
  const directory = stack.use(new NodeDirectory(log))
  const connections = stack.use(new Connections(directory, tls, log))
  // Watched before it is read, so that no change falls in between.
  if (file !== undefined) stack.use(follow(file, connections, log))
  const answers = connections.become(await wantedNodes(options))
  const enough = new AbortController()
  await Promise.race([answers, wait(systemClock, FIRST_ANSWER_MS, AbortSignal.any([signal, enough.signal]))])
  enough.abort()
  const open = stack.move()
  return { directory, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

function assertNamed({ node, nodes: file }: ClusterNodesOptions): void {
  if (file !== undefined && node.length > 0) throw new RangeError('give --node or --nodes, not both')
  if (file === undefined && node.length === 0) {
    throw new RangeError('no worker is named: give --node NAME=ADDRESS:PORT or --nodes FILE')
  }
}

async function wantedNodes({ node, nodes: file }: ClusterNodesOptions): Promise<NodeAddress[]> {
  return file === undefined ? assertDistinct(node.map(parseNode)) : readNodeList(file)
}

/** Takes up each new list; where that cannot be read, the one before stays. */
function follow(file: string, connections: Connections, log: Log): Disposable {
  return onFileChange(file, () => {
    readNodeList(file).then(
      (nodes) => connections.become(nodes),
      (error: unknown) => log.error({ err: error, file }, 'the file of nodes cannot be taken up'),
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
  readonly #tls: WatchedTls
  readonly #log: Log
  #isClosed = false

  constructor(directory: NodeDirectory, tls: WatchedTls, log: Log) {
    this.#directory = directory
    this.#tls = tls
    this.#log = log
    tls.onChange((loaded) => {
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
    const client = connectNode({
      address: host,
      port,
      tls: this.#tls.current(),
      serverUri: roleUri({ role: 'worker', node: name }),
      log: this.#log,
    })
    this.#open.set(name, { address, client })
    await this.#directory.register(name, client)
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
