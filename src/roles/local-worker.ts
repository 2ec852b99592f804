import { mkdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Actions } from '../rpc/actions.ts'
import type { Fence } from '../rpc/fence.ts'
import { probeKvm, probeQemu } from '../qemu/probe.ts'
import { keepImagesFew } from '../worker/image-keeper.ts'
import type { GcLimits } from '../worker/images/collect.ts'
import { openImageStore } from '../worker/images/store.ts'
import { openWorker } from '../worker/worker.ts'
import { readVersion } from './version.ts'

/** What a node on this machine is to be. */
export interface LocalWorkerOptions {
  nodeName: string
  /** State, logs and disks of its guests. */
  stateDir: string
  /** Sockets; short. */
  runDir: string
  /** The store of container images; workers of one machine share it. */
  imagesDir: string
  /** Where `hostDisk` volumes may stand; none where empty. */
  hostDiskPrefixes: readonly string[]
  /** Bridges of this host that guests may be put on; none where empty. */
  bridges: readonly string[]
  /** Where claims stand, as `NAMESPACE/NAME`. */
  claimsDir?: string | undefined
  /** Where backups may be written; where `hostDisk` volumes may stand if absent. */
  backupDirs?: readonly string[] | undefined
  /** IP address at which guests from other nodes arrive; one of this machine alone where absent. */
  migrationAddress?: string | undefined
  /** Bytes that what QEMU prints about a guest may have; 0 is no limit. */
  qemuLogBytes: number
  /** How long images stay that no guest has. */
  imageGc: GcLimits
  /** The same on networks that migrations may be bound to, by their names. */
  migrationNetworks?: Readonly<Record<string, string>> | undefined
  /** Without a word of a leader for so long, guests that may be started elsewhere are stopped; never where absent. */
  fenceAfterSeconds?: number | undefined
  clock: Clock
  log: Log
  /** Told what is being done, for people. */
  onProgress?: ((text: string) => void) | undefined
  signal: AbortSignal
}

/** A node of this machine. Closing it leaves its guests running. */
export interface LocalWorker extends AsyncDisposable {
  actions: Actions
  fence: Fence
}

/** Finds out what this machine can do and opens a worker on it. */
export async function openLocalWorker(options: LocalWorkerOptions): Promise<LocalWorker> {
  const { nodeName, stateDir, runDir, hostDiskPrefixes, bridges, clock, log } = options
  await using stack = new AsyncDisposableStack()
  await mkdir(stateDir, { recursive: true })
  const { qemu, acceleration } = await probe(options)
  const images = stack.use(await openImageStore({ dir: options.imagesDir, log }))
  const worker = stack.use(
    await openWorker({
      nodeName,
      version: readVersion(),
      stateDir,
      runDir,
      images,
      qemu,
      acceleration,
      hostDiskPrefixes,
      bridges,
      ...(options.claimsDir && { claimsDir: options.claimsDir }),
      ...(options.backupDirs && { backupDirs: options.backupDirs }),
      ...(options.migrationAddress && { migrationAddress: options.migrationAddress }),
      qemuLogBytes: options.qemuLogBytes,
      ...(options.migrationNetworks && { migrationNetworks: options.migrationNetworks }),
      ...(options.fenceAfterSeconds && { fenceAfterSeconds: options.fenceAfterSeconds }),
      clock,
      log,
    }),
  )
  const keeping = { images, stateDir: await realpath(stateDir), limits: options.imageGc, clock, log }
  stack.use(keepImagesFew(keeping))
  const open = stack.move()
  return { actions: worker, fence: worker.fence, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

/** KVM where a guest really runs with it, else emulation; and what the QEMU binary can do with that. */
async function probe({ stateDir, signal, onProgress }: LocalWorkerOptions) {
  const emulated = await probeQemu({ cacheFile: join(stateDir, 'qemu-probe-tcg.json'), signal })
  const { binary, version } = emulated
  const kvm = await probeKvm({ binary, signal })
  const name = `QEMU ${version.major}.${version.minor}`
  if (!kvm.works) {
    onProgress?.(`${name} without KVM: guests are emulated, which is slow (${kvm.note})`)
    return { qemu: emulated, acceleration: { accelerator: 'tcg' as const, note: kvm.note } }
  }
  onProgress?.(`${name} with KVM`)
  const cacheFile = join(stateDir, 'qemu-probe-kvm.json')
  const qemu = await probeQemu({ binary, accelerator: 'kvm', cacheFile, signal })
  return { qemu, acceleration: { accelerator: 'kvm' as const, note: '' } }
}
