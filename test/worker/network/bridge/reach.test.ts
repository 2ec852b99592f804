/** Security checklist, C3: what is sent to a guest's address goes to the guest's card, and nowhere else. */
import { describe, expect, test } from 'vitest'
import type { Tap } from '../../../../src/worker/network/bridge/tap.ts'
import type { Taps } from '../../../../src/worker/network/bridge/taps.ts'
import { checkReach } from '../../../../src/worker/network/bridge/reach.ts'
import { fastClock } from '../../../helpers/fake-worker.ts'

const ADDRESS = '192.0.2.7'
const MAC = '02:00:00:00:00:07'
const BRIDGE = 'br-of-a-test'
// What is looked at is its bridge and its hardware address.
const tap = { bridge: BRIDGE, mac: MAC } as Tap

/** What `ip` says of the way there, and of who answers there: the second time after it was asked anew. */
function host(route: object, ...neighbours: object[][]): { taps: Taps; told: string[][] } {
  const told: string[][] = []
  const taps = {
    ask: async (what: string) =>
      what === 'route' ? [route] : (neighbours.shift() ?? neighbours.at(-1) ?? []),
    tell: async (...words: string[]) => void told.push(words),
  }
  return { taps: taps as unknown as Taps, told }
}

const DIRECT = { dst: ADDRESS, dev: BRIDGE }
const reach = (taps: Taps) =>
  checkReach(ADDRESS, tap, { taps, clock: fastClock(100), signal: new AbortController().signal })
const at = (lladdr: string, state = 'REACHABLE') => [{ dst: ADDRESS, lladdr, state: [state] }]

describe('C3: an address on a bridge', () => {
  test('is reached where the guest’s card answers, in whatever case', async () => {
    await expect(reach(host(DIRECT, at(MAC)).taps)).resolves.toBeUndefined()
    await expect(reach(host(DIRECT, at(MAC.toUpperCase())).taps)).resolves.toBeUndefined()
  })

  test('is not where another card answers, once that was asked anew', async () => {
    const { taps, told } = host(DIRECT, at('02:00:00:00:00:66'), at('02:00:00:00:00:66'))
    await expect(reach(taps)).rejects.toMatchObject({ code: 503 })
    expect(told.map(([, verb]) => verb)).toEqual(['delete', 'add'])
  })

  test('is where the card of a guest that is gone was remembered', async () => {
    const { taps } = host(DIRECT, at('02:00:00:00:00:66'), [], at(MAC))
    await expect(reach(taps)).resolves.toBeUndefined()
  })

  test('is not where nobody answers', async () => {
    await expect(reach(host(DIRECT, [], at(MAC, 'FAILED')).taps)).rejects.toMatchObject({ code: 504 })
  })

  test.each([
    ['over a gateway', { ...DIRECT, gateway: '192.0.2.1' }],
    ['via another family', { ...DIRECT, via: { host: 'fe80::1' } }],
    ['on this very host', { ...DIRECT, type: 'local' }],
    ['by another device', { ...DIRECT, dev: 'lo' }],
  ])('is not where the way there is %s', async (_how, route) => {
    await expect(reach(host(route, at(MAC)).taps)).rejects.toMatchObject({ code: 503 })
  })
})
