import { assertDistinct, onFileChange, parseNode, readNodeList, type NodeAddress } from './node-list.ts'
import { openWorkerRegistry, type WorkerRegistryOptions } from './worker-registry.ts'

/** Where it is known from which workers there are. */
export interface NodeSource extends AsyncDisposable {
  /** Those there are now. Throws `RangeError` where that cannot be read. */
  current(): Promise<NodeAddress[]>
  /** Calls back whenever there may be others. */
  onChange(listener: () => void): void
}

/** Which workers there are: named, listed in a file, or registered. */
export interface NodeSourceOptions extends WorkerRegistryOptions {
  /** `NAME=ADDRESS:PORT` each. */
  node: readonly string[]
  /** A YAML list of `{name, address}`, read again when it changes. Takes the place of `node`. */
  nodes?: string
}

/** The source that the options name; the Leases of workers where they name none. Throws `RangeError`. */
export function openNodeSource(options: NodeSourceOptions): NodeSource {
  const { node, nodes: file } = options
  if (file !== undefined && node.length > 0) throw new RangeError('give --node or --nodes, not both')
  if (file !== undefined) return openFile(file)
  return node.length > 0 ? listed(assertDistinct(node.map(parseNode))) : openWorkerRegistry(options)
}

function listed(nodes: NodeAddress[]): NodeSource {
  return { current: async () => nodes, onChange() {}, async [Symbol.asyncDispose]() {} }
}

function openFile(path: string): NodeSource {
  const listeners = new Set<() => void>()
  // Watched before it is read, so that no change falls in between.
  const watch = onFileChange(path, () => {
    for (const listener of listeners) listener()
  })
  return {
    current: () => readNodeList(path),
    onChange: (listener) => void listeners.add(listener),
    async [Symbol.asyncDispose]() {
      watch[Symbol.dispose]()
    },
  }
}
