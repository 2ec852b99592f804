import type { Log } from '../../../lib/log.ts'
import { GuestFailure } from '../../guest/failure.ts'
import type { QemuUser } from '../../user.ts'
import { addressesOnBridge, deviceNames, devicesOn, isTap, readBridge } from './host.ts'
import { type Learned, readNeighbours, readTable } from './learned.ts'
import { buildRemoval, buildRules, deviceOfTable, tableOf } from './rules.ts'
import { HostCommandFailed, run } from './run.ts'
import { isInNetworkOf } from './same-network.ts'
import { isTapOf, type Tap } from './tap.ts'
import { openTunToAll } from './tun.ts'

/** What taps are made with. */
export interface TapsOptions {
  /** Names the worker; absolute. */
  stateDir: string
  /** Bridges that guests may be on. */
  bridges: readonly string[]
  /** Names or paths of the programs: `ip`, `bridge` and `nft` where absent. */
  ip?: string
  bridge?: string
  nft?: string
  log: Log
}

/** The first byte of taps' own addresses: above all others, as a bridge takes the lowest one of its ports for its own. */
const HOST_BYTE = 'fe'
const NO_FORWARDING_OF_BPDUS = ['guard', 'on']

/** The devices by which guests are on this host's bridges. They outlive the worker, as their guests do. */
export class Taps {
  readonly bridges: readonly string[]
  readonly stateDir: string
  readonly #ip: string
  readonly #bridge: string
  readonly #nft: string
  readonly #log: Log

  constructor({ stateDir, bridges, ip = 'ip', bridge = 'bridge', nft = 'nft', log }: TapsOptions) {
    this.stateDir = stateDir
    this.bridges = bridges
    this.#ip = ip
    this.#bridge = bridge
    this.#nft = nft
    this.#log = log
  }

  /**
   * Makes the taps of a guest whose QEMU does not run, anew where there are any: each is guarded before it is on its
   * bridge. Throws `GuestFailure` where this host cannot.
   */
  async make(taps: readonly Tap[], user: QemuUser | undefined): Promise<void> {
    if (taps.length > 0 && process.getuid?.() !== 0) {
      throw failure('this node can put guests on bridges only where its worker is root: run it as root')
    }
    if (taps.length > 0 && user) await openTunToAll()
    for (const tap of taps) {
      try {
        await this.#make(tap, user?.uid ?? 0)
      } catch (error) {
        await this.remove(taps)
        throw error instanceof HostCommandFailed ? explain(error, tap) : error
      }
    }
  }

  /** Takes them away, guards last. What is not there is no error. Throws `HostCommandFailed`. */
  async remove(taps: readonly Pick<Tap, 'device'>[]): Promise<void> {
    for (const { device } of taps) {
      if (await isTap(device)) await run([this.#ip, 'link', 'delete', 'dev', device])
      await this.#apply(buildRemoval(device)).catch((error: unknown) => {
        // Without the program no table was ever made.
        if (!(error instanceof HostCommandFailed && error.isMissing)) throw error
      })
    }
  }

  /** Takes away the taps of this worker that belong to no guest, and their tables: what a crash has left. */
  async sweep(taps: readonly Tap[]): Promise<void> {
    if (process.getuid?.() !== 0) return
    const known = new Set(taps.map(({ device }) => device))
    const isOrphan = (name: string) => isTapOf(this.stateDir, name) && !known.has(name)
    const orphans = [...(await deviceNames()), ...(await this.#guarded())].filter(isOrphan)
    for (const device of new Set(orphans)) {
      this.#log.warn({ device }, 'a tap of no guest is taken away')
      await this.remove([{ device }])
    }
  }

  /**
   * What the network and the guest have told of the guest's addresses. Where somebody has removed the tap's guard, it
   * is put back. Throws `HostCommandFailed`.
   */
  async learn(tap: Tap): Promise<Learned> {
    const learned = await this.#readGuarded(tap)
    if (learned.own.length > 0 || learned.claimed.length > 0) return learned
    // A guest that knows its neighbours does not speak of itself again; this host may know it from before.
    return { ...learned, claimed: await this.#neighbours(tap) }
  }

  /** Runs `ip` with JSON for an answer. Throws `HostCommandFailed`. */
  async ask(...args: string[]): Promise<unknown> {
    const text = await run([this.#ip, '-json', ...args])
    return text.trim() === '' ? [] : JSON.parse(text)
  }

  /** Runs `bridge` with JSON for an answer. Throws `HostCommandFailed`. */
  async askBridge(...args: string[]): Promise<unknown> {
    return JSON.parse(await run([this.#bridge, '-json', ...args]))
  }

  /** Runs `ip`. Throws `HostCommandFailed`. */
  async tell(...args: string[]): Promise<void> {
    await run([this.#ip, ...args])
  }

  async #make(tap: Tap, ownerUid: number): Promise<void> {
    const { device, bridge, vlan, isolated = false } = tap
    const found = await readBridge(bridge)
    if (!found) throw failure(`there is no bridge ${bridge} on this node: make it, or use another network`)
    const mtu = tap.mtu ?? found.mtu
    if (mtu > found.mtu)
      throw failure(`the mtu ${mtu} of the network is more than that of the bridge ${bridge}, ${found.mtu}`)
    if (vlan !== undefined && !found.filtersVlans)
      throw failure(
        `the bridge ${bridge} does not tell VLANs apart: ip link set ${bridge} type bridge vlan_filtering 1`,
      )
    await this.remove([tap])
    await this.#guard(tap)
    const owner = ['user', String(ownerUid)]
    await this.tell('tuntap', 'add', 'dev', device, 'mode', 'tap', ...owner, 'vnet_hdr')
    const address = HOST_BYTE + tap.mac.slice(2)
    // No addresses of the host's own on it: it is a cable.
    await this.tell(
      'link',
      'set',
      'dev',
      device,
      'address',
      address,
      'mtu',
      String(mtu),
      'addrgenmode',
      'none',
    )
    await this.tell('link', 'set', 'dev', device, 'master', bridge)
    const set = ['link', 'set', 'dev', device, ...NO_FORWARDING_OF_BPDUS]
    await run([this.#bridge, ...set, 'isolated', isolated ? 'on' : 'off'])
    if (vlan !== undefined) await this.#setVlan(device, vlan)
    await this.tell('link', 'set', 'dev', device, 'up')
  }

  /** The guest is in that VLAN only; its packets carry no tags. */
  async #setVlan(device: string, vlan: number): Promise<void> {
    const entries = await run([this.#bridge, 'vlan', 'show', 'dev', device])
    for (const [, present] of entries.matchAll(/^(?:\S+)?\s+(\d+)\b/gm)) {
      await run([this.#bridge, 'vlan', 'delete', 'dev', device, 'vid', present ?? ''])
    }
    await run([this.#bridge, 'vlan', 'add', 'dev', device, 'vid', String(vlan), 'pvid', 'untagged'])
  }

  async #guard(tap: Tap): Promise<void> {
    await this.#apply(buildRules(tap, await addressesOnBridge(tap.bridge)))
  }

  async #apply(rules: string): Promise<void> {
    await run([this.#nft, '-f', '-'], rules)
  }

  async #readGuarded(tap: Tap): Promise<Learned> {
    try {
      return await this.#read(tap)
    } catch (error) {
      if (!(error instanceof HostCommandFailed) || error.isMissing) throw error
      this.#log.warn({ err: error, device: tap.device }, 'the guard of a tap is gone and is put back')
      await this.#guard(tap)
      return this.#read(tap)
    }
  }

  /** IP addresses at which the card has answered this host. */
  async #neighbours(tap: Tap): Promise<string[]> {
    const found: string[] = []
    for (const device of await devicesOn(tap.bridge)) {
      if (!(await isInNetworkOf(tap, device, this))) continue
      found.push(...readNeighbours(await this.ask('neigh', 'show', 'dev', device), tap.mac))
    }
    return found
  }

  async #read({ device }: Tap): Promise<Learned> {
    return readTable(await run([this.#nft, '-j', 'list', 'table', 'bridge', tableOf(device)]))
  }

  async #guarded(): Promise<string[]> {
    try {
      const text = await run([this.#nft, 'list', 'tables', 'bridge'])
      return [...text.matchAll(/^table bridge (\S+)/gm)].flatMap(
        ([, name]) => deviceOfTable(name ?? '') ?? [],
      )
    } catch (error) {
      // A host without it has no tables; one whose guests need it says so when they start.
      if (error instanceof HostCommandFailed) return []
      throw error
    }
  }
}

function failure(message: string, cause?: unknown): GuestFailure {
  return new GuestFailure('HostResourceMissing', 'always', message, cause)
}

function explain(error: HostCommandFailed, { bridge }: Tap): GuestFailure {
  const hint = error.isMissing ? '; install iproute2 and nftables' : ''
  return failure(`this node cannot put the guest on the bridge ${bridge}: ${error.message}${hint}`, error)
}
