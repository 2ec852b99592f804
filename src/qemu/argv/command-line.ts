import type { FieldPath } from '../../lib/field-path.ts'
import { invalidConfig, unsupportedDevice } from './error.ts'

/** A part of a `key=value` argument. `true` is written as `on`. */
export type Pair = [key: string, value: string | number | boolean]

/** A device as `-device` and QMP's `device_add` take it. */
export interface DeviceArgs {
  driver: string
  id?: string
  [property: string]: unknown
}

/** Joins `key=value` parts. A comma in a value is doubled, so that no value can add a part. */
export function formatPairs(pairs: readonly Pair[], first?: string): string {
  const parts = pairs.map(([key, value]) => `${key}=${escapeValue(value)}`)
  return (first === undefined ? parts : [escapeValue(first), ...parts]).join(',')
}

function escapeValue(value: string | number | boolean): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  return String(value).replaceAll(',', ',,')
}

/** Reads `a=1,b=2`, as `keyed` has written it, where no value has a comma in it. */
export function parsePairs(text: string): Record<string, string> {
  return Object.fromEntries(text.split(',').map((pair) => pair.split('=', 2) as [string, string]))
}

const SOCKET_PATH_LIMIT = 107

/** Throws `RangeError` where no socket can have this path. */
export function checkSocketPath(path: string): void {
  if (Buffer.byteLength(path) <= SOCKET_PATH_LIMIT) return
  throw new RangeError(
    `the socket path ${path} is longer than ${SOCKET_PATH_LIMIT} bytes: use a shorter data directory`,
  )
}

/** The arguments of a QEMU, collected. Each value is one argument, whatever it holds. */
export class CommandLine {
  readonly #args: string[] = []
  readonly #ids = new Set<string>()
  readonly #deviceTypes: ReadonlySet<string> | undefined

  constructor(deviceTypes?: readonly string[]) {
    this.#deviceTypes = deviceTypes && new Set(deviceTypes)
  }

  get args(): readonly string[] {
    return this.#args
  }

  /** An option without a value. */
  flag(...options: string[]): void {
    this.#args.push(...options)
  }

  /** An option whose value is taken as it is. */
  text(option: string, value: string): void {
    this.#args.push(option, value)
  }

  /** An option whose value is made of `key=value` parts; `first` stands in front without a key. */
  keyed(option: string, pairs: readonly Pair[], first?: string): void {
    this.#args.push(option, formatPairs(pairs, first))
  }

  /** A unix socket that QEMU listens on, as a character device. Throws `RangeError` where its path is too long. */
  socket(id: string, path: string, ...more: Pair[]): void {
    checkSocketPath(path)
    this.keyed('-chardev', [['id', id], ['path', path], ['server', true], ['wait', false], ...more], 'socket')
  }

  /** `-object`, `-blockdev` or `-netdev`, as JSON. */
  json(option: '-object' | '-blockdev' | '-netdev', value: object): void {
    this.#args.push(option, JSON.stringify(value))
  }

  /**
   * `-device`, as JSON. `at` is the field that asks for it.
   *
   * Throws `UnsupportedDevice` where the binary has no such device, `InvalidConfiguration` where the id is taken.
   */
  device(at: FieldPath, device: DeviceArgs): void {
    const { driver, id } = device
    if (this.#deviceTypes && !this.#deviceTypes.has(driver)) {
      throw unsupportedDevice(
        at,
        `this node's QEMU has no device ${driver}: choose another model or install a QEMU that has it`,
      )
    }
    if (id !== undefined && this.#ids.has(id)) {
      throw invalidConfig(
        at,
        `another device is called ${id} already: give each disk, interface and device a name of its own`,
      )
    }
    if (id !== undefined) this.#ids.add(id)
    this.#args.push('-device', JSON.stringify(device))
  }
}
