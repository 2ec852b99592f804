import { access, constants, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { CommandLine } from './argv/command-line.ts'
import { isGuestMachine } from './machine-type.ts'
import { isAlive, lastQemuError, signalProcess, spawnQemu, waitForExit } from './process.ts'
import { readCache, writeCache } from './probe-cache.ts'
import { connectQmp, type QmpClient } from './qmp/client.ts'

export { probeKvm } from './kvm-probe.ts'

/** A kind of machine the binary can be. */
export interface MachineType {
  /** Concrete, such as `pc-q35-7.2`. */
  name: string
  /** Such as `q35`, which means another machine in the next version. */
  alias?: string
  maxCpus: number
}

/** What a QEMU binary can do. */
export interface QemuCapabilities {
  /** Absolute path. */
  binary: string
  version: { major: number; minor: number; micro: number }
  /** Those that guests can be built on, newest first. */
  machines: MachineType[]
  /** Names of all machines, guests' or not, that a later QEMU will lack. */
  deprecatedMachines: string[]
  cpuModels: string[]
  /** Features a guest's CPU can have here, with the accelerator that was probed. */
  cpuFeatures: string[]
  /** What `-device` knows. */
  deviceTypes: string[]
  /** Commands of QMP. Source: `query-qmp-schema`. */
  commands: string[]
}

/** What to ask, and where to keep the answer. */
export interface ProbeQemuOptions {
  /** Absolute path; looked for where absent. */
  binary?: string
  /** The answer is kept here until the binary changes. */
  cacheFile?: string
  /** `tcg` where absent. */
  accelerator?: 'kvm' | 'tcg'
  signal?: AbortSignal
}

/** No QEMU that will do. The message says what to install. */
export class QemuUnusable extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'QemuUnusable'
  }
}

/** Older ones lack options that guests are built with. */
const OLDEST = { major: 7, minor: 2 }
const BINARY = 'qemu-system-x86_64'
/** Where distributions put it that keep it from the path. */
const HIDDEN = ['/usr/libexec/qemu-kvm']
const START_TIMEOUT_MS = 15_000
/** Raised when the shape of `QemuCapabilities` changes. */
const CACHE_SCHEMA = 2

/**
 * Asks the QEMU binary what it can do, by way of one that has no machine and runs no guest.
 *
 * Throws `QemuUnusable` where there is none, it does not start or it is too old, and the reason of `signal`.
 */
export async function probeQemu(options: ProbeQemuOptions = {}): Promise<QemuCapabilities> {
  const { cacheFile, accelerator = 'tcg', signal } = options
  const binary = options.binary ?? (await findBinary(process.env.PATH ?? ''))
  const { mtimeMs, size } = await stat(binary).catch((error: unknown) => {
    throw new QemuUnusable(`${binary} cannot be read: name a QEMU that is there`, error)
  })
  const key = JSON.stringify([CACHE_SCHEMA, binary, mtimeMs, size, accelerator])
  const known = cacheFile === undefined ? undefined : await readCache<QemuCapabilities>(cacheFile, key)
  if (known) return known
  const capabilities = await askBinary(binary, accelerator, signal)
  if (cacheFile !== undefined) await writeCache(cacheFile, key, capabilities)
  return capabilities
}

/**
 * The concrete machine that a type in a spec means, such as `pc-q35-7.2` for `q35`; `undefined` where the binary
 * has no such machine.
 */
export function resolveMachineType({ machines }: QemuCapabilities, type: string): string | undefined {
  return machines.find(({ name, alias }) => name === type || alias === type)?.name
}

async function findBinary(path: string): Promise<string> {
  const candidates = [
    ...path
      .split(delimiter)
      .filter((dir) => dir.startsWith('/'))
      .map((dir) => join(dir, BINARY)),
    ...HIDDEN,
  ]
  for (const candidate of candidates) {
    const isThere = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isThere) return candidate
  }
  throw new QemuUnusable(`no ${BINARY} on this machine: install the package qemu-system-x86 (or qemu-kvm)`)
}

async function askBinary(
  binary: string,
  accelerator: string,
  signal?: AbortSignal,
): Promise<QemuCapabilities> {
  return withIdleQemu({ binary, accelerator, ...(signal && { signal }) }, async (qmp) => {
    checkVersion(binary, qmp)
    return ask(binary, qmp, accelerator, signal)
  })
}

/**
 * Starts a QEMU that has no machine and runs no guest, lets `use` ask it, and ends it.
 *
 * Throws `QemuUnusable` where it does not start, or `use` throws; and the reason of `signal`.
 */
export async function withIdleQemu<T>(
  { binary, accelerator, signal }: { binary: string; accelerator: string; signal?: AbortSignal },
  use: (qmp: QmpClient) => Promise<T>,
): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'virtgate-probe-'))
  const socket = join(dir, 'qmp.sock')
  const logFile = join(dir, 'qemu.log')
  try {
    const qemu = await spawnQemu({ binary, argv: askArgv(socket, accelerator), logFile })
    try {
      await using qmp = await connectQmp(socket, {
        timeoutMs: START_TIMEOUT_MS,
        alive: () => isAlive(qemu),
        ...(signal && { signal }),
      })
      return await use(qmp)
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof QemuUnusable) throw error
      throw new QemuUnusable(
        `${binary} does not work: ${(await lastQemuError(logFile)) || (error instanceof Error ? error.message : String(error))}`,
        error,
      )
    } finally {
      signalProcess(qemu, 'SIGKILL')
      await waitForExit(qemu)
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

function askArgv(socket: string, accelerator: string): string[] {
  const line = new CommandLine()
  line.flag('-nodefaults', '-no-user-config', '-S', '-display', 'none')
  line.text('-machine', 'none')
  line.text('-accel', accelerator)
  line.socket('mon0', socket)
  line.keyed('-mon', [
    ['chardev', 'mon0'],
    ['mode', 'control'],
  ])
  return [...line.args]
}

function checkVersion(binary: string, { greeting }: QmpClient): void {
  const { major, minor } = greeting.version.qemu
  if (major > OLDEST.major || (major === OLDEST.major && minor >= OLDEST.minor)) return
  throw new QemuUnusable(
    `${binary} is QEMU ${major}.${minor}: install ${OLDEST.major}.${OLDEST.minor} or newer, 10 being best`,
  )
}

async function ask(
  binary: string,
  qmp: QmpClient,
  accelerator: string,
  signal?: AbortSignal,
): Promise<QemuCapabilities> {
  const run = <T>(command: string, args?: object): Promise<T> =>
    qmp.execute<T>(command, args, { timeoutMs: START_TIMEOUT_MS, ...(signal && { signal }) })
  const { major, minor, micro } = qmp.greeting.version.qemu
  const machines = await run<Machine[]>('query-machines')
  const models = await run<{ name: string }[]>('query-cpu-definitions')
  const types = await run<{ name: string }[]>('qom-list-types', { implements: 'device', abstract: false })
  const schema = await run<{ name: string; 'meta-type': string }[]>('query-qmp-schema')
  const { model } = await run<{ model: { props?: object } }>('query-cpu-model-expansion', {
    type: 'full',
    model: { name: accelerator === 'kvm' ? 'host' : 'max' },
  })
  return {
    binary,
    version: { major, minor, micro },
    machines: machines
      .filter(({ name }) => isGuestMachine(name))
      .map(readMachine)
      .sort((one, other) => compareNames(other.name, one.name)),
    deprecatedMachines: machines
      .filter(({ deprecated }) => deprecated)
      .map(({ name }) => name)
      .sort(compareNames),
    cpuModels: models.map(({ name }) => name).sort(),
    cpuFeatures: Object.entries(model.props ?? {})
      .filter(([, value]) => value === true)
      .map(([name]) => name)
      .sort(),
    deviceTypes: types.map(({ name }) => name).sort(),
    commands: schema
      .filter((entry) => entry['meta-type'] === 'command')
      .map(({ name }) => name)
      .sort(),
  }
}

/** One of `query-machines`. */
interface Machine {
  name: string
  alias?: string
  'cpu-max': number
  deprecated: boolean
}

function readMachine(machine: Machine): MachineType {
  const { name, alias } = machine
  return { name, ...(alias !== undefined && { alias }), maxCpus: machine['cpu-max'] }
}

/** `pc-q35-10.0` comes after `pc-q35-9.2`. */
function compareNames(one: string, other: string): number {
  return one.localeCompare(other, 'en', { numeric: true })
}
