import type { Operation } from '../guest/guest.ts'
import type { WorkerParts } from '../parts.ts'
import type { Disk } from './nodes.ts'
import type { BackupState, Checkpoint } from './state.ts'

/** What a backup takes beside the guest. */
export type BackupParts = Pick<WorkerParts, 'clock' | 'log' | 'qemuImg' | 'backupDirs' | 'dirs'>

/** A backup that begins. */
export interface Run extends Operation {
  parts: BackupParts
  disks: Disk[]
  latest: BackupState
  since: Checkpoint | undefined
}

/** How a backup begins in one of the modes. */
export interface ModeSteps {
  /** Makes the images and whatever else has to be there; what it leaves where it fails is removed by `undo`. */
  prepare: (run: Run) => Promise<void>
  /** What has to happen to all disks in one moment. Source: QMP, `transaction`. */
  actions: (run: Run) => object[]
  /** What comes after that. */
  follow: (run: Run) => Promise<void>
  /** Removes what `prepare` has left, after it or `actions` has failed by that cause. */
  undo: (run: Run, cause: unknown) => Promise<void>
}

/** The action that begins to note a disk's writes under the backup's name; on disk too where the disk can hold it. */
export function noteWrites({ disks, latest }: Run, node: string): object {
  const format = disks.find((disk) => disk.node === node)?.format
  return {
    type: 'block-dirty-bitmap-add',
    data: { node, name: latest.name, ...(format === 'qcow2' && { persistent: true }) },
  }
}

/** Bytes of a disk. */
export function sizeOf({ disks }: Run, node: string): number {
  return disks.find((disk) => disk.node === node)?.sizeBytes ?? 0
}
