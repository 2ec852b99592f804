import { unwatchFile, watchFile } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { isRecord } from '../lib/json.ts'
import { checkDns1123Subdomain } from '../lib/names.ts'
import { yaml } from '../lib/yaml.ts'

/** Where the worker of a node listens. */
export interface NodeAddress {
  /** Name of the node; the worker's certificate has to be for it. */
  name: string
  host: string
  port: number
}

/** How often the file of nodes is looked at; also where no file events come, as on network file systems. */
const POLL_MS = 2_000

/** Reads `NAME=ADDRESS:PORT`. Throws `RangeError`. */
export function parseNode(text: string): NodeAddress {
  const [name = '', address = ''] = splitOnce(text, '=')
  return nodeOf(name, address, JSON.stringify(text))
}

/**
 * Reads a YAML list such as `- {name: node01, address: "10.0.0.1:8186"}`; an empty file is an empty list. Throws
 * `RangeError` where an entry is no node or a name stands twice, and YAML's own error for anything else.
 */
export function parseNodeList(text: string): NodeAddress[] {
  const list: unknown = yaml().parse(text, { version: '1.1' }) ?? []
  if (!Array.isArray(list)) throw new RangeError('the file of nodes holds no list')
  const nodes = list.map((entry: unknown) => {
    const shown = JSON.stringify(entry)
    if (!isRecord(entry) || typeof entry.name !== 'string' || typeof entry.address !== 'string') {
      throw new RangeError(`${shown} in the file of nodes is no {name: NAME, address: "ADDRESS:PORT"}`)
    }
    return nodeOf(entry.name, entry.address, shown)
  })
  return assertDistinct(nodes)
}

/** Throws `RangeError` where two have the same name. */
export function assertDistinct(nodes: NodeAddress[]): NodeAddress[] {
  const [twice] = [...Map.groupBy(nodes, ({ name }) => name).values()].filter(({ length }) => length > 1)
  if (twice?.[0]) throw new RangeError(`the node ${twice[0].name} is named twice`)
  return nodes
}

/** Reads the file of nodes. The message of what it throws names the file. */
export async function readNodeList(path: string): Promise<NodeAddress[]> {
  const text = await readFile(path, 'utf8')
  try {
    return parseNodeList(text)
  } catch (cause) {
    throw new RangeError(`${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

/** The address as `HOST:PORT`, as `nodeOf` reads it. */
export function formatAddress({ host, port }: Pick<NodeAddress, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Calls `run` whenever the file has changed, until it is disposed of. */
export function onFileChange(path: string, run: () => void): Disposable {
  watchFile(path, { persistent: false, interval: POLL_MS }, run)
  return { [Symbol.dispose]: () => unwatchFile(path, run) }
}

/** A node whose `address` is `HOST:PORT`; `shown` stands for it in messages. Throws `RangeError`. */
export function nodeOf(name: string, address: string, shown: string): NodeAddress {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  if (host === undefined || port < 1 || port > 65_535) {
    throw new RangeError(`${shown} names no worker: write NAME=ADDRESS:PORT, such as node01=10.0.0.1:8186`)
  }
  const [wrong] = checkDns1123Subdomain(name)
  if (wrong) throw new RangeError(`${JSON.stringify(name)} is no name of a node: ${wrong}`)
  return { name, host, port }
}

function splitOnce(text: string, by: string): string[] {
  const at = text.indexOf(by)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + by.length)]
}
