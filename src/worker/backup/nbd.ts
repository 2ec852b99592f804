import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { QmpError } from '../../qemu/qmp/client.ts'
import type { Monitor } from './nodes.ts'
import type { BackupState, BackupVolume } from './state.ts'

/** Name of the socket, in the guest's run directory, at which QEMU lets a backup be read. */
export const NBD_SOCKET = 'backup.sock'

/** A QEMU has one NBD server; somebody else uses it. */
export class NbdServerTaken extends Error {
  constructor(cause: QmpError) {
    super(
      'the NBD server of its QEMU is in use, by a migration or another pull-mode backup: try again later',
      {
        cause,
      },
    )
    this.name = 'NbdServerTaken'
  }
}

/** Has QEMU listen. Throws `NbdServerTaken`, and as `Machine.command`. */
export async function startServer(machine: Monitor, runDir: string): Promise<void> {
  const path = join(runDir, NBD_SOCKET)
  await rm(path, { force: true })
  try {
    await machine.command('nbd-server-start', {
      addr: { type: 'unix', data: { path } },
      'max-connections': CONNECTIONS,
    })
  } catch (error) {
    throw error instanceof QmpError && /already running/i.test(error.desc) ? new NbdServerTaken(error) : error
  }
}

/** Readers of all disks of a guest together. */
const CONNECTIONS = 64

/** Lets the disks be read that are not yet. Throws as `Machine.command`. */
export async function addExports(machine: Monitor, { volumes }: BackupState): Promise<void> {
  const known = await machine.command<{ id: string }[]>('query-block-exports')
  for (const volume of volumes) {
    const id = exportOf(volume)
    if (known.some((one) => one.id === id)) continue
    const { node, targetNode, volumeName, bitmap } = volume
    await machine.command('block-export-add', {
      type: 'nbd',
      id,
      'node-name': targetNode,
      name: volumeName,
      writable: false,
      ...(bitmap !== undefined && { bitmaps: [{ node, name: bitmap }] }),
    })
  }
}

/** The id of a disk's export: of 31 bytes, as those of nodes. */
function exportOf({ job }: BackupVolume): string {
  return job
}

/** Ends the server, with all that is read from it. Where there is none nothing happens. Throws as `Machine.command`. */
export async function stopServer(machine: Monitor, runDir: string): Promise<void> {
  await machine.command('nbd-server-stop').catch((error: unknown) => {
    if (!(error instanceof QmpError)) throw error
  })
  await rm(join(runDir, NBD_SOCKET), { force: true })
}

/** Where a disk of a pull-mode backup is read, and what of it has changed, as NBD URIs of this node. */
export function endpointsOf(
  { volumeName, bitmap }: BackupVolume,
  runDir: string,
): { dataEndpoint: string; mapEndpoint: string } {
  const socket = encodeURIComponent(join(runDir, NBD_SOCKET))
  const dataEndpoint = `nbd+unix:///${encodeURIComponent(volumeName)}?socket=${socket}`
  const context = bitmap === undefined ? 'base:allocation' : `qemu:dirty-bitmap:${bitmap}`
  return { dataEndpoint, mapEndpoint: `${dataEndpoint}#${context}` }
}
