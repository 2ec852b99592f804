import { rm, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncFolder } from '../files/durable.ts'
import { unlessMissing } from '../files/errno.ts'
import type { GuestFiles } from '../files/paths.ts'

/** Removes what a guest needed to run: disks, generated images, sockets. Its record and its logs stay. */
export async function release({ disks, generated, runDir }: GuestFiles): Promise<void> {
  for (const folder of [disks, generated, runDir]) await rm(folder, { recursive: true, force: true })
}

/** Removes all that is left of a guest, its record last, so that what a crash leaves is removed by the next worker. */
export async function forget(files: GuestFiles): Promise<void> {
  await release(files)
  for (const log of [files.log, files.serialLog]) {
    for (const file of [log, `${log}.1`]) await rm(file, { force: true })
  }
  await rm(files.record, { force: true })
  await unlessMissing(rmdir(files.stateDir))
  await syncFolder(dirname(files.stateDir))
}
