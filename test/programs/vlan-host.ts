/**
 * Guests of several VLANs on one bridge, each of them a network namespace behind a tap that the worker made. Prints who reaches
 * whom, as `result JSON`. Runs as root of a host whose kernel tells VLANs apart: `helpers/kernel-host.ts`.
 */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { systemClock } from '../../src/lib/clock.ts'
import { checkReach } from '../../src/worker/network/bridge/reach.ts'
import { tapName, type Tap } from '../../src/worker/network/bridge/tap.ts'
import { Taps } from '../../src/worker/network/bridge/taps.ts'

const BRIDGE = 'br0'
const STATE = '/state'
const SAME = '02:00:00:00:00:77'

interface Guest {
  vlan?: number
  mac: string
  /** Last number of its address. */
  last: number
}

const guests: Record<string, Guest> = {
  red: { vlan: 10, mac: '02:00:00:00:00:01', last: 11 },
  red2: { vlan: 10, mac: '02:00:00:00:00:02', last: 12 },
  blue: { vlan: 20, mac: '02:00:00:00:00:03', last: 13 },
  blue2: { vlan: 20, mac: '02:00:00:00:00:04', last: 14 },
  plain: { mac: '02:00:00:00:00:05', last: 15 },
  // Somebody who has chosen the addresses of somebody else in another VLAN.
  original: { vlan: 20, mac: SAME, last: 77 },
  double: { vlan: 10, mac: SAME, last: 77 },
}

const addressOf = (last: number) => `192.0.2.${last}`
const sh = (...words: string[]) => execFileSync(words[0] ?? '', words.slice(1), { encoding: 'utf8' })
const inGuest = (name: string, ...words: string[]) => sh('ip', 'netns', 'exec', name, ...words)

const taps = new Taps({
  stateDir: STATE,
  bridges: [BRIDGE],
  log: { debug() {}, info() {}, warn() {}, error: (_fields, text) => console.log(text) },
})

const tapOf = (name: string, { vlan, mac }: Guest): Tap => ({
  interface: 'lan',
  device: tapName(STATE, name, 'lan'),
  bridge: BRIDGE,
  mac,
  ...(vlan !== undefined && { vlan }),
})

/** The guest's end: a card in a namespace of its own, joined to the tap as QEMU would. */
async function plugIn(name: string, { mac, last }: Guest, { device }: Tap): Promise<void> {
  const card = `c-${name}`
  const ends = [device, card].map((each) => `TUN,tun-type=tap,tun-name=${each}`)
  spawn('socat', ends, { stdio: 'ignore' }).unref()
  while (!existsSync(`/sys/class/net/${card}`)) await sleep(50)
  sh('ip', 'netns', 'add', name)
  sh('ip', 'link', 'set', card, 'netns', name)
  inGuest(name, 'ip', 'link', 'set', card, 'address', mac, 'up')
  inGuest(name, 'ip', 'addr', 'add', `${addressOf(last)}/24`, 'dev', card)
}

const PING = ['busybox', 'ping', '-c', '2', '-W', '2']
const pings = (name: string, last: number) =>
  promisify(execFile)('ip', ['netns', 'exec', name, ...PING, addressOf(last)]).then(
    () => true,
    () => false,
  )

/** Whether the node takes a guest for reached. */
async function reaches(name: string): Promise<string> {
  const guest = guests[name]
  if (!guest) throw new RangeError(name)
  const signal = AbortSignal.timeout(20_000)
  try {
    await checkReach(addressOf(guest.last), tapOf(name, guest), { taps, clock: systemClock, signal })
    return 'reached'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

sh('ip', 'link', 'add', BRIDGE, 'type', 'bridge')
sh('ip', 'link', 'set', BRIDGE, 'up')
const red = guests['red'] as Guest
const refused = await taps.make([tapOf('red', red)], undefined).catch((error: Error) => error.message)
sh('ip', 'link', 'set', BRIDGE, 'type', 'bridge', 'vlan_filtering', '1')

const made: Record<string, Tap> = {}
for (const [name, guest] of Object.entries(guests)) {
  made[name] = tapOf(name, guest)
  await taps.make([made[name]], undefined)
  await plugIn(name, guest, made[name])
}
const memberships = Object.fromEntries(
  Object.entries(made).map(([name, { device }]) => [
    name,
    sh('bridge', 'vlan', 'show', 'dev', device).split('\n').slice(1).join('').replace(device, '').trim(),
  ]),
)
// Ports learn before they forward.
await sleep(2_000)

const reached: Record<string, string[]> = {}
const watched = ['red', 'red2', 'blue', 'blue2', 'plain']
for (const from of watched) {
  const others = watched.filter((to) => to !== from)
  const answers = await Promise.all(others.map((to) => pings(from, guests[to]?.last ?? 0)))
  reached[from] = others.filter((_to, at) => answers[at])
}

// A guest that writes tags itself.
inGuest('red', 'ip', 'link', 'add', 'link', 'c-red', 'name', 'tagged', 'type', 'vlan', 'id', '20')
inGuest('red', 'ip', 'link', 'set', 'tagged', 'up')
inGuest('red', 'ip', 'addr', 'add', '192.0.2.99/32', 'dev', 'tagged')
inGuest('red', 'ip', 'route', 'add', addressOf(13), 'dev', 'tagged', 'src', '192.0.2.99')
const tagged = await pings('red', 13)

/** The node itself in one VLAN after the other. */
async function onVlan(id: number, names: string[]): Promise<Record<string, string>> {
  const device = `${BRIDGE}.${id}`
  sh('bridge', 'vlan', 'add', 'dev', BRIDGE, 'vid', String(id), 'self')
  sh('ip', 'link', 'add', 'link', BRIDGE, 'name', device, 'type', 'vlan', 'id', String(id))
  sh('ip', 'link', 'set', device, 'up')
  sh('ip', 'addr', 'add', '192.0.2.1/24', 'dev', device)
  const found: Record<string, string> = {}
  for (const name of names) found[name] = await reaches(name)
  sh('ip', 'link', 'delete', device)
  return found
}
const fromRed = await onVlan(10, ['red', 'double', 'original'])
const fromBlue = await onVlan(20, ['red', 'original', 'double'])
sh('ip', 'addr', 'add', '192.0.2.1/24', 'dev', BRIDGE)
const fromPlain = { plain: await reaches('plain'), red: await reaches('red') }

console.log(
  `result ${JSON.stringify({ refused, memberships, reached, tagged, fromRed, fromBlue, fromPlain })}`,
)
process.exit(0)
