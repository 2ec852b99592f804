import { formatTime } from '../../lib/clock.ts'
import type { GuestReport } from '../../rpc/actions.ts'
import type { GuestRecord } from '../guest/record.ts'
import { endpointsOf } from './nbd.ts'

/** One disk in a backup. */
export interface BackupVolume {
  volumeName: string
  /** What the guest's kernel calls it, such as `vda`. */
  diskTarget: string
  /** Block node of the disk. */
  node: string
  /** Where it goes: a qcow2 image. In pull mode that of what the guest has written over since. */
  file: string
  /** Block node of that, and the job which fills it. */
  targetNode: string
  job: string
  /** Pull mode: dirty bitmap of the disk that says what had changed since the checkpoint. */
  bitmap?: string
}

/** The latest backup of a guest. It runs until `endMs` is there. */
export interface BackupState {
  name: string
  /** `Push` where absent: QEMU writes the images. `Pull`: it lets others read the disks. */
  mode?: 'Pull'
  startMs: number
  endMs?: number
  failed?: boolean
  message?: string
  /** Somebody does not want it any more; in pull mode, has read what they wanted. */
  aborted?: boolean
  /** It is to end for this reason. */
  failing?: string
  volumes: BackupVolume[]
  /** Pull mode: QEMU's directory, in which its socket is. */
  runDir?: string
  /** Pull mode: others can read it. */
  readable?: boolean
  /** Pull mode: a directory of its own for its files. */
  folder?: string
  /** Pull mode: `HOST:PORT` of who reads it; what it takes to connect there stands in a file of its own. */
  exportTo?: string
}

/** A moment since which a guest's writes are noted, by a dirty bitmap of this name on each disk. */
export interface Checkpoint {
  name: string
  creationMs: number
  /** With the image that holds the disk as it was then, where this node has written one. */
  volumes: { volumeName: string; node: string; file?: string }[]
}

/** What is written down of backups. */
export interface BackupRecord {
  latest?: BackupState
  /** Oldest first. */
  checkpoints: Checkpoint[]
}

/** How many checkpoints a guest has; each costs a bit of memory and of every write. */
export const CHECKPOINT_LIMIT = 16

/** Whether a backup is under way. */
export function isBackingUp(backup: BackupRecord | undefined): boolean {
  return backup?.latest !== undefined && backup.latest.endMs === undefined
}

/** Writes down where backups stand, and has it reported as `changedBlockTracking`. Throws the system's error. */
export async function keepBackup(
  record: GuestRecord,
  backup: BackupRecord,
  more: Parameters<GuestRecord['keep']>[0] = {},
): Promise<void> {
  const status = { ...record.state.status, changedBlockTracking: trackingOf(backup) }
  await record.keep({ ...more, backup, status })
}

/** Source: contract 7.5, `changedBlockTracking`. */
function trackingOf({ latest }: BackupRecord): NonNullable<GuestReport['status']['changedBlockTracking']> {
  if (!latest) return { state: 'Enabled' }
  const { name, startMs, endMs, failed = false, message, volumes, runDir, readable } = latest
  const isReadable = readable === true && endMs === undefined
  return {
    state: 'Enabled',
    backupStatus: {
      backupName: name,
      startTimestamp: formatTime(startMs),
      ...(endMs !== undefined && { endTimestamp: formatTime(endMs) }),
      completed: endMs !== undefined,
      failed,
      ...(message && { backupMsg: message }),
      ...(endMs !== undefined && !failed && { checkpointName: name }),
      volumes: volumes.map((volume) => ({
        volumeName: volume.volumeName,
        diskTarget: volume.diskTarget,
        ...(isReadable && runDir !== undefined && endpointsOf(volume, runDir)),
      })),
    },
  }
}
