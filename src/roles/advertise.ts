/** At which address a worker is called. */
import { isIPv4, isIPv6 } from 'node:net'
import { isEveryAddress } from './listen.ts'

/** Where others call; `port` is absent where nothing is said of it. */
export interface AdvertisedAddress {
  host: string
  port?: number
}

/**
 * Reads `ADDRESS` or `ADDRESS:PORT`: a name, an IPv4 address, or an IPv6 address, which takes brackets where a port follows. What has
 * two colons or more and no brackets is an IPv6 address as a whole. Throws `RangeError`, with what to write instead.
 */
export function parseAdvertised(text: string): AdvertisedAddress {
  const { host, port } = split(text)
  if (isEveryAddress(host)) throw wrong(text, 'every address of this machine; name the one that others reach')
  if (host.includes('%'))
    throw wrong(text, 'an address with a zone, which means something on this machine alone')
  const isKnown = isIPv6(host) || isIPv4(host) || isName(host)
  if (!isKnown)
    throw wrong(text, 'no ADDRESS or ADDRESS:PORT, such as 10.0.0.1:8186, host01 or [fd00::1]:8186')
  if (port === undefined) return { host }
  if (port > 65_535) throw wrong(text, 'no address, as ports go up to 65535')
  return { host, port }
}

function split(text: string): { host: string; port?: number } {
  if (isIPv6(text)) return { host: text }
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text) ?? []
  // Brackets are for IPv6 alone.
  const host = bracketed === undefined ? plain : isIPv6(bracketed) ? bracketed : ''
  return { host: host ?? '', ...(digits !== undefined && { port: Number(digits) }) }
}

const NAME = /^[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?$/

/** Dots and digits alone would be an IPv4 address that is none. */
function isName(host: string): boolean {
  return NAME.test(host) && !/^[\d.]+$/.test(host)
}

function wrong(text: string, what: string): RangeError {
  return new RangeError(`--advertise ${JSON.stringify(text)} is ${what}`)
}
