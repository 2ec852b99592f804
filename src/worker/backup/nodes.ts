import { createHash } from 'node:crypto'
import { nodeNamesOf } from '../../qemu/argv/block-nodes.ts'
import { QmpError } from '../../qemu/qmp/client.ts'
import type { Machine } from '../guest/machine.ts'
import type { GuestState } from '../guest/state.ts'

/** The part of a machine that is needed here. */
export type Monitor = Pick<Machine, 'command'>

/** A dirty bitmap as QEMU tells of it. Source: QMP, `BlockDirtyInfo`. */
export interface Bitmap {
  name?: string
  inconsistent?: boolean
}

/** A disk that can be backed up. */
export interface Disk {
  volumeName: string
  diskTarget: string
  node: string
  format: string
  sizeBytes: number
  bitmaps: Bitmap[]
}

interface NamedNode {
  'node-name': string
  drv: string
  ro: boolean
  image: { 'virtual-size': number }
  'dirty-bitmaps'?: Bitmap[]
}

/** The disks that the guest can write to, in its order. Throws as `Machine.command`. */
export async function readDisks(machine: Monitor, { status }: Readonly<GuestState>): Promise<Disk[]> {
  const nodes = await machine.command<NamedNode[]>('query-named-block-nodes', { flat: true })
  return (status.volumeStatus ?? []).flatMap(({ name, target }) => {
    const node = nodes.find((one) => one['node-name'] === nodeNamesOf(name).format)
    if (!node || node.ro) return []
    return {
      volumeName: name,
      diskTarget: target,
      node: node['node-name'],
      format: node.drv,
      sizeBytes: node.image['virtual-size'],
      bitmaps: node['dirty-bitmaps'] ?? [],
    }
  })
}

/** Whether a disk's bitmap of that name says what has changed since. */
export function hasBitmap({ bitmaps }: Pick<Disk, 'bitmaps'>, name: string): boolean {
  return bitmaps.some((bitmap) => bitmap.name === name && bitmap.inconsistent !== true)
}

/** Names of a backup's target node and of its job, the same whenever they are asked for. */
export function namesFor(volumeName: string): { targetNode: string; job: string } {
  const digest = createHash('sha256').update(volumeName).digest('hex').slice(0, 8)
  return { targetNode: `b${digest}-target`, job: `backup-${digest}` }
}

/** For a command that takes down what may not be there: QEMU's refusal says no more than that it is not. */
export function ignoreQmp(error: unknown): void {
  if (!(error instanceof QmpError)) throw error
}
