import { isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'

/** Where to listen. */
export interface ListenAddress {
  host: string
  /** 0 takes a free one. */
  port: number
}

/**
 * Reads `ADDRESS:PORT`, `[IPv6]:PORT`, `:PORT` (every address, of both families where this machine has both) or a bare port (this
 * machine alone). Throws `RangeError`.
 */
export function parseListen(text: string): ListenAddress {
  const match = /^(?:(?:\[([^\]]+)\]|([^:]*)):)?(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (!match || port > 65_535) throw new RangeError(`${JSON.stringify(text)} is no ADDRESS:PORT to listen on`)
  const host = match[1] ?? match[2] ?? '127.0.0.1'
  return { host: host === '' ? everyAddress() : host, port }
}

/** What stands for every address: `::` takes connections of both families, and cannot be had where IPv6 is switched off. */
function everyAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((found) => found ?? [])
  return addresses.some(({ family }) => family === 'IPv6') ? '::' : '0.0.0.0'
}

/** Whether a host stands for every address. */
export function isEveryAddress(host: string): boolean {
  return host === '::' || host === '0.0.0.0'
}

/** The URL that clients on this machine reach a listener at. */
export function urlOf(host: string, port: number): string {
  const reachable = isEveryAddress(host) ? '127.0.0.1' : host
  return `https://${isIPv6(reachable) ? `[${reachable}]` : reachable}:${port}`
}
