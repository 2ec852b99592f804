import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { QemuCapabilities } from '../qemu/probe.ts'
import type { NodeUpdate } from '../rpc/actions.ts'
import type { NodeFence } from './fence/fence.ts'
import type { WorkerDirs } from './files/paths.ts'
import type { Limit } from './limit.ts'
import type { Cids } from './network/cids.ts'
import type { Taps } from './network/bridge/taps.ts'
import type { LoopbackGuard } from './network/loopback-guard.ts'
import type { UserChooser } from './user.ts'
import type { Images } from './volumes/context.ts'

/** How guests' CPUs are run on this node. */
export interface Acceleration {
  accelerator: 'kvm' | 'tcg'
  /** Why it is not KVM, for people. Empty with KVM. */
  note: string
}

/** What all guests of a worker share. */
export interface WorkerParts {
  nodeName: string
  dirs: WorkerDirs
  images: Images
  qemu: QemuCapabilities
  acceleration: Acceleration
  /** Name or path of the program. */
  qemuImg: string
  userOf: UserChooser
  /** IP address at which QEMUs wait for guests from other nodes. */
  migrationAddress: string
  /** The same on networks that a migration may be bound to, by their names. */
  migrationNetworks: Readonly<Record<string, string>>
  guard: LoopbackGuard
  taps: Taps
  cids: Cids
  /** Device that gives guests vsock: `/dev/vhost-vsock`. */
  vhostVsock: string
  /** Name or path of the program that connects to vsock. */
  socat: string
  hostDiskPrefixes: readonly string[]
  /** Directories below which backups may go. */
  backupDirs: readonly string[]
  /** Where claims stand, as `NAMESPACE/NAME`. */
  claimsDir?: string
  pulls: Limit
  starts: Limit
  /** Whether a leader is heard of. */
  fence: Pick<NodeFence, 'isCutOff' | 'armedSeconds'>
  clock: Clock
  log: Log
  /** Tells those who watch. */
  publish: (update: NodeUpdate) => void
}
