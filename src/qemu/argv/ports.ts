import type { FieldPath } from '../../lib/field-path.ts'
import type { DeviceArgs } from './command-line.ts'
import { invalidConfig } from './error.ts'
import { DEVICES } from './spec.ts'

/**
 * Where devices sit on the guest's PCI buses. Every PCIe device has a root port of its own, as only those take
 * part in hot-plug; conventional ones share a bridge. A slot is written `rp3`, `pci1:0x2` or `pcie.0:0x10`.
 * Source: contract 1.1.
 */

/** Where a device is plugged in. */
export interface Place {
  bus: string
  addr?: string
}

/** Root ports fill slots 0x02 to 0x0f of the root bus, eight functions each. */
const FIRST_PORT_SLOT = 0x02
const PORT_LIMIT = 14 * 8
/** A `pciAddress` on the root bus may take slots from here; those above are the chipset's and our own. */
const FREE_SLOTS = { from: 0x10, to: 0x1a }
const BRIDGE = 'pci1'
const BRIDGE_LIMIT = 31
const PCI_ADDRESS = /^([0-9a-f]{4}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/i
const ON_ROOT_BUS = /^pcie\.0:0x1[0-9a-f]$/
const GIB = 1024 ** 3

/** Hands out slots, the ones of last time first, so that a guest finds its devices where they were. */
export class Ports {
  readonly #wanted: ReadonlyMap<string, string>
  readonly #fixed: ReadonlySet<string>
  readonly #taken = new Map<string, string>()

  /** `fixed` holds ids of devices that take the slot they want or none. */
  constructor(slots: Readonly<Record<string, string>>, fixed: ReadonlySet<string> = new Set()) {
    this.#wanted = new Map(Object.entries(slots))
    this.#fixed = fixed
  }

  /** Device id → slot, of all that were handed out. */
  get slots(): Record<string, string> {
    return Object.fromEntries([...this.#taken].map(([slot, id]) => [id, slot]))
  }

  /** A root port for a PCIe device. Throws `InvalidConfiguration` where none is left. */
  express(id: string, at: FieldPath): Place {
    return this.#take(id, at, PORT_LIMIT, (index) => `rp${index}`)
  }

  /** A slot on the bridge for a conventional PCI device. Throws `InvalidConfiguration` where none is left. */
  conventional(id: string, at: FieldPath): Place {
    return this.#take(id, at, BRIDGE_LIMIT, (index) => `${BRIDGE}:0x${(index + 1).toString(16)}`)
  }

  #take(id: string, at: FieldPath, limit: number, slotAt: (index: number) => string): Place {
    const wanted = this.#wanted.get(id)
    const candidates = Array.from({ length: limit }, (_, index) => slotAt(index))
    const others = new Set([...this.#wanted].filter(([other]) => other !== id).map(([, slot]) => slot))
    const mayKeep =
      wanted !== undefined &&
      !this.#taken.has(wanted) &&
      (candidates.includes(wanted) || ON_ROOT_BUS.test(wanted))
    if (!mayKeep && this.#fixed.has(id)) {
      throw invalidConfig(
        at.child('pciAddress'),
        'a conventional PCI device cannot sit there: use 0000:00:10.0 to 0000:00:1a.0, or a model that is PCIe, such as virtio',
      )
    }
    const slot = mayKeep ? wanted : candidates.find((one) => !this.#taken.has(one) && !others.has(one))
    if (slot === undefined)
      throw invalidConfig(at, 'no slot is left on the PCI bus: give the guest fewer devices')
    this.#taken.set(slot, id)
    return placeOf(slot)
  }

  /**
   * The ports and the bridge themselves, to come before what is plugged into them. With `hotplug` there are spare
   * ports, by the size of the guest; `chosen` is their number where that is known.
   */
  devices(memoryBytes: number, hotplug: boolean, chosen?: number): DeviceArgs[] {
    const bridge = this.#bridge()
    const indexes = [...this.#taken.keys()]
      .filter((slot) => slot.startsWith('rp'))
      .map((slot) => Number(slot.slice(2)))
    const highest = Math.max(-1, ...indexes) + 1
    const [least, spare] = memoryBytes > 2 * GIB ? [16, 6] : [8, 3]
    const count = chosen ?? (hotplug ? Math.max(highest, least, indexes.length + spare) : highest)
    const ports = Array.from({ length: Math.min(count, PORT_LIMIT) }, (_, index) => rootPort(index))
    return [...ports, ...bridge]
  }

  #bridge(): DeviceArgs[] {
    if (![...this.#taken.keys()].some((slot) => slot.startsWith(`${BRIDGE}:`))) return []
    return [{ driver: 'pcie-pci-bridge', id: BRIDGE, ...this.express(BRIDGE, DEVICES) }]
  }
}

/** The slot that a `pciAddress` such as `0000:02:00.0` means. Throws `InvalidConfiguration` where none can be it. */
export function slotOfAddress(address: string, at: FieldPath): string {
  const [, domain = '', bus = '', device = '', fn = ''] = PCI_ADDRESS.exec(address) ?? []
  const busNumber = parseInt(bus, 16)
  const slot = parseInt(device, 16)
  if (parseInt(domain, 16) !== 0 || fn !== '0') throw noSuchPlace(address, at)
  if (busNumber === 0 && slot >= FREE_SLOTS.from && slot <= FREE_SLOTS.to)
    return `pcie.0:0x${slot.toString(16)}`
  if (busNumber > 0 && busNumber <= PORT_LIMIT && slot === 0) return `rp${busNumber - 1}`
  throw noSuchPlace(address, at)
}

function noSuchPlace(address: string, at: FieldPath): Error {
  return invalidConfig(
    at,
    `no device can sit at ${JSON.stringify(address)}: use 0000:BB:00.0 for root port BB (01 to 70), or 0000:00:10.0 to 0000:00:1a.0`,
  )
}

function placeOf(slot: string): Place {
  const [bus = '', addr] = slot.split(':')
  return addr === undefined ? { bus } : { bus, addr }
}

function rootPort(index: number): DeviceArgs {
  const slot = FIRST_PORT_SLOT + Math.floor(index / 8)
  const fn = index % 8
  return {
    driver: 'pcie-root-port',
    id: `rp${index}`,
    bus: 'pcie.0',
    chassis: index + 1,
    addr: `0x${slot.toString(16)}.0x${fn}`,
    ...(fn === 0 && { multifunction: true }),
  }
}
