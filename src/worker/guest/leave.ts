import { readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { syncFolder } from '../files/durable.ts'
import { unlessMissing } from '../files/errno.ts'
import type { GuestFiles } from '../files/paths.ts'

/** Removes what a guest needed to run: disks, generated images, sockets. Its record and its logs stay. */
export async function release({ disks, generated, runDir }: GuestFiles): Promise<void> {
  for (const folder of [disks, generated, runDir]) await rm(folder, { recursive: true, force: true })
}

/** Removes all that is left of a guest, its record last, so that what a crash leaves is removed by the next worker. */
export async function forget(files: GuestFiles): Promise<void> {
  const { stateDir, record } = files
  await release(files)
  for (const entry of (await unlessMissing(readdir(stateDir))) ?? []) {
    const path = join(stateDir, entry)
    if (path !== record) await rm(path, { recursive: true })
  }
  await rm(stateDir, { recursive: true, force: true })
  await syncFolder(dirname(stateDir))
}
