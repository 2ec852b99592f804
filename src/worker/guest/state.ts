import { readFile } from 'node:fs/promises'
import type { QemuProcess } from '../../qemu/process.ts'
import type { GuestEvent, GuestRef, GuestReport } from '../../rpc/actions.ts'
import { isRecord } from '../../lib/json.ts'
import type { BackupRecord } from '../backup/state.ts'
import { unlessMissing } from '../files/errno.ts'
import type { Frozen } from '../agent/freeze.ts'
import type { AgentReport } from '../agent/view.ts'
import type { DiskRecord } from '../migration/disks.ts'
import type { Visible } from '../migration/hardware.ts'
import type { MigrationState } from '../migration/state.ts'
import type { Tap } from '../network/bridge/tap.ts'
import type { QemuUser } from '../user.ts'

/** Form of the record; raised when an older worker could not read it any more. */
const SCHEMA = 1

/** A QEMU that was started for a guest. */
export type Launched = QemuProcess

/** How a QEMU is to be started: written down before it is, so that none can be lost. */
export interface Launch {
  /** Absolute path of the binary. */
  binary: string
  /** SHA-256 of the arguments. */
  argvHash: string
  user?: QemuUser
  /** The guest is not to run until somebody says so. */
  startsPaused: boolean
  /** Ids of network cards whose cable is out. */
  linksDown: string[]
}

/** What a guest was built of, as the target of a migration has to know. */
export interface BuildRecord {
  /** Every option of which the guest sees something. */
  hardware: Visible[]
  disks: DiskRecord[]
  /** Image reference → digest. */
  images: Record<string, string>
}

/** A disk that was added to the running guest. */
export interface PluggedRecord {
  disk: DiskRecord
  device: Visible
}

/** Why a guest's virtual CPUs stand still. */
export type PausedBy = 'user' | 'io-error' | 'fence' | 'unknown'

/**
 * What the worker knows of one guest. Survives the worker's crash, and says all that QEMU itself cannot.
 * Nothing secret is in it.
 */
export interface GuestState {
  schema: typeof SCHEMA
  guest: GuestRef
  /** Highest one seen. */
  epoch: number
  phase: GuestReport['phase']
  reason?: string
  message?: string
  /** What keeps the guest from being as it should; the condition `Synchronized`. */
  trouble?: { reason: string; message: string }
  /** Starts in a row that failed. */
  failedStarts: number
  launch?: Launch
  process?: Launched
  /** Device id → slot, as in a plan. */
  slots: Record<string, string>
  /** Whether the guest has an ACPI power button. */
  acpi: boolean
  hasSerial: boolean
  /** Whether QEMU writes down what the guest prints at its serial port; it does where this is absent. */
  logsSerial?: boolean
  hasDisplay: boolean
  pausedBy?: PausedBy
  /** When the guest shuts down before that, it is to be started anew. Milliseconds since 1970. */
  rebootUntilMs?: number
  /** The guest is to be stopped by then, and forgotten. */
  removal?: { deadlineMs: number }
  /** SHA-256 of the firmware that a SEV guest is measured with. */
  sevLoaderSha?: string
  /** Backups of the guest's disks, and what the next one can continue from. */
  backup?: BackupRecord
  /** Seconds without a word of a leader after which the guest stops, as it may be started elsewhere then. */
  failover?: number
  agentConnected: boolean
  /** What the guest's agent last said of it, as far as others see it; nothing is done on the strength of it. */
  agent?: AgentReport
  /** The guest's file systems are to be frozen: written down before the agent is asked to. */
  frozen?: Frozen
  /** What its readiness probe has found; absent where it has none. */
  readiness?: { ready: boolean; message: string }
  /** Folders in the guest of programs that are run there: what has to be cleaned up after a crash. */
  execs?: string[]
  /** Why it could not be moved to another node. */
  notMigratable?: { reason: string; message: string }
  build?: BuildRecord
  /** Its cards that are ports of bridges of this host: written down before they are made. */
  taps?: Tap[]
  /** Device id → disk that was added since: those that QEMU does not have (any more) do not count. */
  plugged?: Record<string, PluggedRecord>
  /** The latest migration that the node has had a part in. */
  migration?: MigrationState
  /** UIDs of migrations that were carried out, or cancelled before they began; newest last. */
  pastMigrations?: string[]
  /** The guest was described for this migration, as one with this digest. */
  factsGiven?: { migrationUid: string; digest: string }
  status: GuestReport['status']
  /** Newest last. */
  events: GuestEvent[]
}

/** A guest that was just heard of. */
export function newState(guest: GuestRef, epoch: number): GuestState {
  return {
    schema: SCHEMA,
    guest,
    epoch,
    phase: 'Scheduled',
    failedStarts: 0,
    slots: {},
    acpi: true,
    hasSerial: true,
    hasDisplay: true,
    agentConnected: false,
    status: {},
    events: [],
  }
}

/** A record on disk cannot be read. */
export class UnreadableState extends Error {
  constructor(file: string, why: string, cause?: unknown) {
    super(`cannot read the guest's record ${file}: ${why}`, cause === undefined ? undefined : { cause })
    this.name = 'UnreadableState'
  }
}

/** The record in a file; `undefined` where there is none. Throws `UnreadableState`. */
export async function readState(file: string): Promise<GuestState | undefined> {
  const text = await unlessMissing(readFile(file, 'utf8'))
  if (text === undefined) return undefined
  const state = parse(file, text)
  if (!isRecord(state)) throw new UnreadableState(file, 'it is no JSON object')
  if (state.schema !== SCHEMA) {
    throw new UnreadableState(
      file,
      `it has form ${String(state.schema)}, and this worker knows ${SCHEMA}: start the newer worker`,
    )
  }
  // This worker or one of the same form wrote it, in a directory that nobody else can write to.
  return state as unknown as GuestState
}

function parse(file: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UnreadableState(file, 'it is no JSON', error)
  }
}
