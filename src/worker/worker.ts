import { chmod, mkdir, realpath, rm } from 'node:fs/promises'
import { type Clock, timestamp } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { QemuCapabilities } from '../qemu/probe.ts'
import type { Actions } from '../rpc/actions.ts'
import { withHeartbeat } from '../rpc/heartbeat.ts'
import { freezeGuest } from './actions/freeze.ts'
import { runInGuest } from './actions/guest-exec.ts'
import { unfreezeGuest } from './actions/unfreeze.ts'
import { cancelMigration } from './actions/cancel-migration.ts'
import { backUpGuest, redefineCheckpoint } from './actions/backup.ts'
import { openConsole } from './actions/console.ts'
import { openConsoleLog } from './actions/console-log.ts'
import { buildInfo } from './actions/info.ts'
import { tellMigrationFacts } from './actions/migration-facts.ts'
import { pauseGuest } from './actions/pause.ts'
import { openPortForward } from './actions/port-forward.ts'
import { prepareIncoming } from './actions/prepare-incoming.ts'
import { reclaimMigration } from './actions/reclaim-migration.ts'
import { releaseMigration } from './actions/release-migration.ts'
import { resetGuest } from './actions/reset.ts'
import { takeScreenshot } from './actions/screenshot.ts'
import { injectSevSecret, readSevMeasurement, readSevPlatform } from './actions/sev.ts'
import { softRebootGuest } from './actions/softreboot.ts'
import { startOutgoing } from './actions/start-outgoing.ts'
import { unpauseGuest } from './actions/unpause.ts'
import { openUsbRedir } from './actions/usbredir.ts'
import { openVnc } from './actions/vnc.ts'
import { openVsock } from './actions/vsock.ts'
import { LOCAL_MIGRATION_ADDRESS } from './migration/address.ts'
import { buildFigureReader } from './figures/collect.ts'
import { readingsOfNode } from './figures/node.ts'
import { holdStateDir } from './files/hold.ts'
import { checkRunDir, generatedDir, pinDir, type WorkerDirs } from './files/paths.ts'
import { openFence, type NodeFence } from './fence/fence.ts'
import { Guests } from './guests.ts'
import { Limit } from './limit.ts'
import { keepLogsShort } from './log-keeper.ts'
import { Cids } from './network/cids.ts'
import { Taps } from './network/bridge/taps.ts'
import { LoopbackGuard } from './network/loopback-guard.ts'
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
  /** Directories below which backups of guests may go; those for disks of guests where absent. */
  backupDirs?: readonly string[]
  /** Where claims stand, as `NAMESPACE/NAME`; absent: guests have none. QEMU's users have to be able to pass through. */
  claimsDir?: string
  /**
   * IP address of this node at which guests from other nodes arrive. Where absent, they come from workers of this
   * machine alone.
   */
  migrationAddress?: string
  /** The same on networks that migrations may be bound to (`migrations.network`), by their names. */
  migrationNetworks?: Readonly<Record<string, string>>
  /** Bridges of this host that guests may be put on; none where absent. */
  bridges?: readonly string[]
  /** Bytes that what QEMU prints about a guest may have; 0 is no limit, 8 MiB where absent. */
  qemuLogBytes?: number
  /** Without a word of a leader for so long, guests that may be started elsewhere are stopped; never where 0 or absent. */
  fenceAfterSeconds?: number
  /** Name or path of the program; `qemu-img` where absent. */
  qemuImg?: string
  /** Name or path of the program; `nft` where absent. */
  nft?: string
  /** Name or path of the program; `socat` where absent. */
  socat?: string
  /** `/dev/vhost-vsock` where absent. */
  vhostVsock?: string
  clock: Clock
  log: Log
}

/** The daemon of a node. Closing it leaves its guests running: the next worker adopts them. */
export interface Worker extends Actions, AsyncDisposable {
  /** Keeps what former leaders ask for from it. */
  fence: NodeFence
}

/** Images pulled, and guests started, at the same time. Source: contract 6.4. */
const PULLS = 2
const STARTS = 4
const QEMU_LOG_BYTES = 8 * 1024 * 1024

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
  const { fenceAfterSeconds: afterSeconds = 0 } = options
  const promisedSeconds = (): number | undefined => lowestPromise(guests)
  const fence = opened.use(await openFence({ dirs, afterSeconds, promisedSeconds, clock, log }))
  const watchers = new Watchers()
  const parts: WorkerParts = {
    nodeName,
    dirs,
    images: options.images,
    qemu: options.qemu,
    acceleration,
    migrationAddress: options.migrationAddress ?? LOCAL_MIGRATION_ADDRESS,
    migrationNetworks: options.migrationNetworks ?? {},
    qemuImg: options.qemuImg ?? 'qemu-img',
    userOf: userChooser({ ...(user && { fixed: user }), needsKvm: acceleration.accelerator === 'kvm' }),
    cids: new Cids(),
    vhostVsock: options.vhostVsock ?? '/dev/vhost-vsock',
    socat: options.socat ?? 'socat',
    guard: new LoopbackGuard({ clock, ...(options.nft && { nft: options.nft }) }),
    taps: new Taps({
      stateDir: dirs.stateDir,
      bridges: options.bridges ?? [],
      ...(options.nft && { nft: options.nft }),
      log,
    }),
    hostDiskPrefixes: options.hostDiskPrefixes ?? [],
    backupDirs: options.backupDirs ?? options.hostDiskPrefixes ?? [],
    ...(options.claimsDir && { claimsDir: options.claimsDir }),
    pulls: new Limit(PULLS),
    starts: new Limit(STARTS),
    fence,
    clock,
    log,
    publish: (update) => watchers.publish(update),
  }
  const guests = opened.use(new Guests(parts))
  opened.use(keepLogsShort({ dirs, limitBytes: options.qemuLogBytes ?? QEMU_LOG_BYTES, clock, log }))
  await guests.load()
  return buildWorker({ options, parts, guests, watchers, fence, opened: opened.move() })
}

interface Opened {
  fence: NodeFence
  options: WorkerOptions
  parts: WorkerParts
  guests: Guests
  watchers: Watchers
  opened: AsyncDisposableStack
}

function buildWorker({ options, parts, guests, watchers, fence, opened }: Opened): Worker {
  const info = buildInfo(options)
  const figures = buildFigureReader(options)
  const ending = new AbortController()
  const watch = (signal: AbortSignal) =>
    watchers.watch(() => guests.reports(), AbortSignal.any([signal, ending.signal]))
  return {
    fence,
    info: async () => info,
    sync: async (request) => (await guests.getOrCreate(request)).sync(request),
    remove: async (guest, removal) => guests.get(guest).remove(removal),
    report: async (guest) => guests.get(guest).report,
    async metrics(signal) {
      const observed = guests.list().flatMap((guest) => guest.observed() ?? [])
      return [...readingsOfNode(info, options.qemu), ...(await figures.read(observed, signal))]
    },
    watch: (signal) => withHeartbeat(watch, options.clock, signal),
    pause: async (guest) => pauseGuest(guests.get(guest)),
    unpause: async (guest) => unpauseGuest(guests.get(guest), options.log),
    softreboot: async (guest) => softRebootGuest(guests.get(guest), options.clock, options.log),
    reset: async (guest) => resetGuest(guests.get(guest)),
    freeze: async (guest, how) => freezeGuest(guests.get(guest), how, options.clock),
    unfreeze: async (guest) => unfreezeGuest(guests.get(guest)),
    agentInfo: async (guest) => guests.get(guest).agentInfo(),
    guestExec: async (guest, what, signal) => runInGuest(guests.get(guest), what, signal),
    console: async (guest, how, signal) => openConsole(guests.get(guest), how, options.log, signal),
    consoleLog: async (guest, which) => openConsoleLog(guests.get(guest), which, options.clock),
    vnc: async (guest, how, signal) => openVnc(guests.get(guest), how, options.log, signal),
    screenshot: async (guest, how, signal) =>
      takeScreenshot(guests.get(guest), how, { clock: options.clock, signal }),
    usbredir: async (guest, signal) => openUsbRedir(guests.get(guest), signal),
    backup: async (guest, how, signal) => backUpGuest(guests.get(guest), how, parts, signal),
    redefineCheckpoint: async (guest, checkpoint) => redefineCheckpoint(guests.get(guest), checkpoint),
    vsock: async (guest, vsock, signal) => openVsock(guests.get(guest), vsock, parts, signal),
    sevPlatform: async (guest, signal) => {
      guests.get(guest)
      return readSevPlatform(parts, signal)
    },
    sevMeasurement: async (guest) => readSevMeasurement(guests.get(guest)),
    sevInjectSecret: async (guest, secret) => injectSevSecret(guests.get(guest), secret),
    portForward: async (guest, port, signal) => openPortForward(guests.get(guest), port, signal),
    migrationFacts: async (ref) => tellMigrationFacts(guests.get(ref.guest), ref),
    prepareIncoming: async (request, signal) => prepareIncoming(guests, request, signal),
    startOutgoing: async (request) => startOutgoing(guests.get(request.guest), request),
    cancelMigration: async (ref) => cancelMigration(guests.get(ref.guest), ref),
    releaseMigration: async (ref, epoch) => releaseMigration(guests.get(ref.guest), ref, epoch),
    reclaimMigration: async (ref, epoch) => reclaimMigration(guests.get(ref.guest), ref, epoch),
    async [Symbol.asyncDispose]() {
      ending.abort()
      await opened.disposeAsync()
    },
  }
}

function lowestPromise(guests: Guests): number | undefined {
  const promised = guests.list().flatMap(({ failover }) => failover ?? [])
  return promised.length > 0 ? Math.min(...promised) : undefined
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
