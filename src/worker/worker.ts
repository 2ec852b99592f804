import { chmod, mkdir, realpath, rm } from 'node:fs/promises'
import { type Clock, timestamp } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { QemuCapabilities } from '../qemu/probe.ts'
import type { Actions } from '../rpc/actions.ts'
import { withHeartbeat } from '../rpc/heartbeat.ts'
import { openConsole } from './actions/console.ts'
import { buildInfo } from './actions/info.ts'
import { pauseGuest } from './actions/pause.ts'
import { resetGuest } from './actions/reset.ts'
import { softRebootGuest } from './actions/softreboot.ts'
import { unpauseGuest } from './actions/unpause.ts'
import { openVnc } from './actions/vnc.ts'
import { holdStateDir } from './files/hold.ts'
import { checkRunDir, generatedDir, pinDir, type WorkerDirs } from './files/paths.ts'
import { Guests } from './guests.ts'
import { Limit } from './limit.ts'
import type { Acceleration, WorkerParts } from './parts.ts'
import { type QemuUser, userChooser } from './user.ts'
import type { Images } from './volumes/context.ts'
import { Watchers } from './watchers.ts'

export { StateDirInUse } from './files/hold.ts'

/** What a worker is opened with. */
export interface WorkerOptions {
  nodeName: string
  /** Of the program. */
  version: string
  /** Absolute. Survives a reboot; QEMU's users have to be able to pass through it and its parents. */
  stateDir: string
  /** Absolute and short, below a directory of root's; emptied by a reboot. Of this worker alone. */
  runDir: string
  images: Images
  /** From `probeQemu`. */
  qemu: QemuCapabilities
  /** From `probeKvm`: KVM where it works. */
  acceleration: Acceleration
  /** Whom QEMU runs as where we are root. Absent: each guest has a user of its own. */
  user?: QemuUser
  /** Directories below which files of the host may be disks of guests; none where absent. */
  hostDiskPrefixes?: readonly string[]
  /** Name or path of the program; `qemu-img` where absent. */
  qemuImg?: string
  clock: Clock
  log: Log
}

/** The daemon of a node. Closing it leaves its guests running: the next worker adopts them. */
export interface Worker extends Actions, AsyncDisposable {}

/** Images pulled, and guests started, at the same time. Source: contract 6.4. */
const PULLS = 2
const STARTS = 4

/**
 * Opens the worker of a node: takes hold of its state directory and adopts the guests that still run.
 *
 * Throws `StateDirInUse` where another worker has the directory, `RangeError` for a run directory that is too long,
 * and the system's errors.
 */
export async function openWorker(options: WorkerOptions): Promise<Worker> {
  const { nodeName, clock, log, acceleration, user } = options
  await using opened = new AsyncDisposableStack()
  const dirs = await openDirs(options)
  opened.use(await holdStateDir(dirs.stateDir, { pid: process.pid, nodeName, since: timestamp(clock) }))
  await makeWorkFolders(dirs)
  const watchers = new Watchers()
  const parts: WorkerParts = {
    nodeName,
    dirs,
    images: options.images,
    qemu: options.qemu,
    acceleration,
    qemuImg: options.qemuImg ?? 'qemu-img',
    userOf: userChooser({ ...(user && { fixed: user }), needsKvm: acceleration.accelerator === 'kvm' }),
    hostDiskPrefixes: options.hostDiskPrefixes ?? [],
    pulls: new Limit(PULLS),
    starts: new Limit(STARTS),
    clock,
    log,
    publish: (update) => watchers.publish(update),
  }
  const guests = opened.use(new Guests(parts))
  await guests.load()
  return buildWorker({ options, guests, watchers, opened: opened.move() })
}

interface Opened {
  options: WorkerOptions
  guests: Guests
  watchers: Watchers
  opened: AsyncDisposableStack
}

function buildWorker({ options, guests, watchers, opened }: Opened): Worker {
  const info = buildInfo(options)
  const ending = new AbortController()
  const watch = (signal: AbortSignal) =>
    watchers.watch(() => guests.reports(), AbortSignal.any([signal, ending.signal]))
  return {
    info: async () => info,
    sync: async (request) => (await guests.getOrCreate(request)).sync(request),
    remove: async (guest, removal) => guests.get(guest).remove(removal),
    report: async (guest) => guests.get(guest).report,
    watch: (signal) => withHeartbeat(watch, options.clock, signal),
    pause: async (guest) => pauseGuest(guests.get(guest)),
    unpause: async (guest) => unpauseGuest(guests.get(guest), options.log),
    softreboot: async (guest) => softRebootGuest(guests.get(guest), options.clock),
    reset: async (guest) => resetGuest(guests.get(guest)),
    console: async (guest) => openConsole(guests.get(guest)),
    vnc: async (guest, vnc) => openVnc(guests.get(guest), vnc),
    async [Symbol.asyncDispose]() {
      ending.abort()
      await opened.disposeAsync()
    },
  }
}

/** The directories with their real names, made where they are missing. */
async function openDirs({ stateDir, runDir }: WorkerOptions): Promise<WorkerDirs> {
  for (const dir of [stateDir, runDir]) {
    await mkdir(dir, { recursive: true, mode: 0o711 })
    // Others pass through, as QEMU's users do, and see nothing.
    await chmod(dir, 0o711)
  }
  const dirs = { stateDir: await realpath(stateDir), runDir: await realpath(runDir) }
  checkRunDir(dirs)
  return dirs
}

async function makeWorkFolders(dirs: WorkerDirs): Promise<void> {
  await rm(pinDir(dirs), { recursive: true, force: true })
  await mkdir(pinDir(dirs), { mode: 0o700 })
  await mkdir(generatedDir(dirs), { recursive: true, mode: 0o711 })
}
