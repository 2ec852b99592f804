import { readFile } from 'node:fs/promises'
import type { QemuProcess } from '../../qemu/process.ts'
import type { GuestEvent, GuestRef, GuestReport } from '../../rpc/actions.ts'
import { isRecord } from '../../lib/json.ts'
import { unlessMissing } from '../files/errno.ts'
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

/** Why a guest's virtual CPUs stand still. */
export type PausedBy = 'user' | 'io-error' | 'unknown'

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
  hasDisplay: boolean
  pausedBy?: PausedBy
  /** When the guest shuts down before that, it is to be started anew. Milliseconds since 1970. */
  rebootUntilMs?: number
  /** The guest is to be stopped by then, and forgotten. */
  removal?: { deadlineMs: number }
  agentConnected: boolean
  /** Why it could not be moved to another node. */
  notMigratable?: { reason: string; message: string }
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
