import { isIPv6 } from 'node:net'

/** Where to listen. */
export interface ListenAddress {
  host: string
  /** 0 takes a free one. */
  port: number
}

/** Reads `ADDRESS:PORT`, `[IPv6]:PORT`, `:PORT` (every address) or a bare port (this machine alone). Throws `RangeError`. */
export function parseListen(text: string): ListenAddress {
  const match = /^(?:(?:\[([^\]]+)\]|([^:]*)):)?(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (!match || port > 65_535) throw new RangeError(`${JSON.stringify(text)} is no ADDRESS:PORT to listen on`)
  const host = match[1] ?? match[2] ?? '127.0.0.1'
  return { host: host === '' ? '::' : host, port }
}

/** The URL that clients on this machine reach a listener at. */
export function urlOf(host: string, port: number): string {
  const reachable = host === '::' || host === '0.0.0.0' ? '127.0.0.1' : host
  return `https://${isIPv6(reachable) ? `[${reachable}]` : reachable}:${port}`
}
