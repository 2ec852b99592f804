import { ioThreadOf } from '../../qemu/argv/plugged-disk.ts'
import { nodeNamesOf } from '../../qemu/argv/block-nodes.ts'
import { QmpError } from '../../qemu/qmp/client.ts'
import type { Look } from './context.ts'
import { nameOf } from './devices.ts'

/** How long a guest gets to let go of a disk, and when it is asked again. Source: contract 2.7. */
const PATIENCE_MS = 30_000
const RETRY_MS = 60_000
const STUCK = {
  reason: 'DetachPending',
  message: 'the guest has not let go of the disk within 30 s; it is asked again each minute',
}

/**
 * Has the guest let go of a disk. QEMU tells by an event when it has; until then this answers in how many milliseconds
 * to look again. The disk's files stay.
 */
export async function unplugDisk({ machine, parts, statuses }: Look, id: string): Promise<number> {
  const { unplugs } = machine
  const now = parts.clock.now()
  const asked = unplugs.get(id)
  const name = nameOf(id)
  if (!asked) {
    statuses.change(name, { phase: 'Detaching' })
    unplugs.set(id, { firstMs: now, lastMs: now })
    await ask(machine, id)
    return PATIENCE_MS
  }
  if (now - asked.firstMs < PATIENCE_MS) return asked.firstMs + PATIENCE_MS - now
  statuses.change(name, { phase: 'Detaching', ...STUCK })
  const waitMs = asked.lastMs + RETRY_MS - now
  if (waitMs > 0) return waitMs
  unplugs.set(id, { ...asked, lastMs: now })
  await ask(machine, id)
  return RETRY_MS
}

async function ask(machine: Look['machine'], id: string): Promise<void> {
  try {
    await machine.command('device_del', { id })
  } catch (error) {
    // It has gone in this moment, or an earlier request is still with the guest: either is as good.
    if (!(error instanceof QmpError)) throw error
    if (error.class !== 'DeviceNotFound' && !error.desc.includes('in the process of unplug')) throw error
  }
}

/** Takes away what is left of a disk that the guest has let go of: block node, thread, slot and entry. */
export async function finishUnplug(look: Look, id: string): Promise<void> {
  const { machine, record, hardware, statuses } = look
  const name = nameOf(id)
  const nodeName = nodeNamesOf(name).format
  if (hardware.nodes.has(nodeName)) {
    await machine.command('blockdev-del', { 'node-name': nodeName })
    hardware.nodes.delete(nodeName)
  }
  await dropIoThread(look, id)
  machine.unplugs.delete(id)
  statuses.change(name, { phase: 'UnMountedFromPod' })
  const { [id]: _slot, ...slots } = record.state.slots
  const { [id]: _disk, ...plugged } = record.state.plugged ?? {}
  if (_slot !== undefined || _disk !== undefined) await record.keep({ slots, plugged })
  statuses.remove(name)
}

async function dropIoThread({ machine }: Look, id: string): Promise<void> {
  const own = ioThreadOf(id).id
  const threads = await machine.command<{ id: string }[]>('query-iothreads')
  if (threads.some((thread) => thread.id === own)) await machine.command('object-del', { id: own })
}
