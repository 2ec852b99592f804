import { isIP } from 'node:net'
import { isRecord } from '../../../lib/json.ts'
import { DROPPED } from './rules.ts'

/** What the table of a tap has noted. */
export interface Learned {
  /** Addresses that are the guest's, by what the administrator wrote or a DHCP server has said. */
  own: string[]
  /** Those that the guest says are its own; what it has spoken of last comes first. */
  claimed: string[]
  /** Frames of the guest that were not let through since the tap was made. */
  dropped: number
}

/** Of a list that the guest can lengthen. */
const CLAIMED_LIMIT = 16

/** Reads what `nft -j list table` prints of a table of `buildRules`. Throws `SyntaxError` where that is no JSON. */
export function readTable(text: string): Learned {
  const answer: unknown = JSON.parse(text)
  const objects = isRecord(answer) && Array.isArray(answer.nftables) ? answer.nftables.filter(isRecord) : []
  const setNamed = (name: string) =>
    objects.map(({ set }) => set).find((set) => isRecord(set) && set.name === name)
  const elementsOf = (name: string): Element[] => {
    const set = setNamed(name)
    return isRecord(set) && Array.isArray(set.elem) ? set.elem.flatMap(readElement) : []
  }
  const claimed = [...elementsOf('claimed4'), ...elementsOf('claimed6')]
  const counter = objects.map((each) => each.counter).find((each) => isRecord(each) && each.name === DROPPED)
  return {
    own: [...elementsOf('own4'), ...elementsOf('own6')].map(({ address }) => address),
    claimed: claimed
      .toSorted((left, right) => right.expires - left.expires)
      .slice(0, CLAIMED_LIMIT)
      .map(({ address }) => address),
    dropped: isRecord(counter) ? Number(counter.packets) : 0,
  }
}

/** The IP addresses of a hardware address, of what `ip -json neigh show` prints. */
export function readNeighbours(answer: unknown, mac: string): string[] {
  const entries = Array.isArray(answer) ? answer.filter(isRecord) : []
  return entries
    .filter(({ lladdr }) => typeof lladdr === 'string' && lladdr.toLowerCase() === mac)
    .flatMap(({ dst }) => (typeof dst === 'string' && isIP(dst) !== 0 ? dst : []))
    .slice(0, CLAIMED_LIMIT)
}

interface Element {
  address: string
  /** Seconds that are left of its life. */
  expires: number
}

/** An element is a text, or `{ elem: { val, expires } }`. */
function readElement(value: unknown): Element[] {
  const element = isRecord(value) && isRecord(value.elem) ? value.elem : { val: value }
  const { val, expires } = element as { val?: unknown; expires?: unknown }
  if (typeof val !== 'string' || isIP(val) === 0) return []
  return [{ address: val, expires: Number(expires ?? 0) }]
}
