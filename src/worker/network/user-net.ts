import { randomInt } from 'node:crypto'
import type { Log } from '../../lib/log.ts'
import { QmpClosed, QmpError, QmpTimeout } from '../../qemu/qmp/client.ts'
import type { Machine } from '../guest/machine.ts'

/** The part of a machine that is needed here. */
export type Monitor = Pick<Machine, 'command'>

/** How a port in a guest is reached. */
export type Protocol = 'tcp' | 'udp'

/** An address of the host's loopback at which QEMU listens on the guest's behalf. */
export interface Listener {
  protocol: Protocol
  address: string
  port: number
}

/** One line of `info usernet`: a connection through a user-mode network, or a listener. */
export interface NetRow {
  /** Id of the network. */
  network: string
  protocol: Protocol
  /** Such as `SYN_SENT`, `ESTABLISHED` or `HOST_FORWARD`; `240 sec` is the rest of a UDP session's life. */
  state: string
  /** On the host's side; of what came in through a listener, the listener's. */
  address: string
  port: number
}

/**
 * Where QEMU listens: a part of the loopback network that nothing else uses, so that the rules of
 * `loopback-guard.ts` can keep all users but the worker's away from it, and listeners of a dead worker are known.
 */
export const FORWARDS_CIDR = '127.86.0.0/16'
const FORWARDS_PREFIX = '127.86.'
const PORTS = { from: 1024, to: 65_536 }
const TRIES = 4

const NETWORK = /^(?:Hub -?\d+|VLAN -?\d+) \((.+)\):$/
const ROW = /^\s*(TCP|UDP)\[([^\]]+)\]\s+-?\d+\s+(\S+)\s+(\d+)\s+\S+\s+\d+\s+\d+\s+\d+$/

/** The user-mode networks of a guest, in the order of its spec, and what goes on in them. */
export interface UserNets {
  networks: string[]
  rows: NetRow[]
}

/** Reads what QEMU's `info usernet` prints. Source: `net_slirp_hmp_info_usernet` and libslirp's `slirp_connection_info`. */
export function parseUserNets(text: string): UserNets {
  const networks: string[] = []
  const rows: NetRow[] = []
  for (const line of text.split(/\r?\n/)) {
    const name = NETWORK.exec(line)?.[1]
    if (name !== undefined) networks.push(name)
    const [, protocol, state, address, port] = ROW.exec(line) ?? []
    const network = networks.at(-1)
    if (network === undefined || !protocol || !state || !address || !port) continue
    rows.push({ network, protocol: protocol === 'TCP' ? 'tcp' : 'udp', state, address, port: Number(port) })
  }
  return { networks, rows }
}

/** What goes on in the guest's user-mode networks. Throws as `Machine.command`. */
export async function readUserNets(machine: Monitor): Promise<UserNets> {
  return parseUserNets(await runHmp(machine, 'info usernet'))
}

/** QEMU would not listen for a guest. */
export class ForwardFailed extends Error {
  constructor(why: string) {
    super(`QEMU cannot listen for the guest: ${why}`)
    this.name = 'ForwardFailed'
  }
}

/**
 * Has QEMU listen at a free address and pass on what comes to the port, at the address that QEMU itself has given the
 * guest: nothing that the guest says is used (security C3). Throws `ForwardFailed` and as `Machine.command`.
 */
export async function addForward(
  machine: Monitor,
  network: string,
  protocol: Protocol,
  guestPort: number,
): Promise<Listener> {
  let said = ''
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const listener = { protocol, address: randomAddress(), port: randomInt(PORTS.from, PORTS.to) }
    const { address, port } = listener
    // No guest address: QEMU takes the one its DHCP server hands out.
    said = await runHmp(machine, `hostfwd_add ${network} ${protocol}:${address}:${port}-:${guestPort}`)
    if (said === '') return listener
  }
  throw new ForwardFailed(said)
}

/** Ends the listening; connections that were made go on. A QEMU that has ended listens no more. */
export async function removeForward(machine: Monitor, network: string, listener: Listener): Promise<void> {
  const { protocol, address, port } = listener
  try {
    await runHmp(machine, `hostfwd_remove ${network} ${protocol}:${address}:${port}`)
  } catch (error) {
    if (!isMonitorTrouble(error)) throw error
  }
}

function isMonitorTrouble(error: unknown): boolean {
  return error instanceof QmpClosed || error instanceof QmpError || error instanceof QmpTimeout
}

/** Ends all listening that a worker before this one has left. */
export async function clearForwards(machine: Monitor, log: Log): Promise<void> {
  try {
    const { rows } = await readUserNets(machine)
    for (const { network, state, ...listener } of rows) {
      if (state !== 'HOST_FORWARD' || !listener.address.startsWith(FORWARDS_PREFIX)) continue
      await removeForward(machine, network, listener)
    }
  } catch (error) {
    // The guest is adopted all the same.
    if (!isMonitorTrouble(error)) throw error
    log.warn({ err: error }, 'cannot tell whether ports of an adopted guest are still forwarded')
  }
}

async function runHmp(machine: Monitor, line: string): Promise<string> {
  const answer = await machine.command<string>('human-monitor-command', { 'command-line': line })
  return answer.trim()
}

function randomAddress(): string {
  return `${FORWARDS_PREFIX}${randomInt(0, 256)}.${randomInt(1, 255)}`
}
