import { claimNameOf, type Disk, diskOf, type Volume } from '../../kinds/volumes.ts'
import { freeLun, slotOfLun } from '../../qemu/argv/luns.ts'
import { resourceMissing } from '../../qemu/argv/error.ts'
import { buildPluggedDisk, type PlugPlace, type PlugPlan, plugBusOf } from '../../qemu/argv/plugged-disk.ts'
import { DEVICES } from '../../qemu/argv/spec.ts'
import { supportsDirectIo } from '../../qemu/direct-io.ts'
import type { DiskFile } from '../../qemu/plan.ts'
import { describeDisk } from '../migration/disks.ts'
import { visibleDevice } from '../migration/hardware.ts'
import { VOLUMES } from '../volumes/context.ts'
import { makeVolume } from '../volumes/index.ts'
import type { Look } from './context.ts'
import { idOf, readPlaces, withoutKept } from './devices.ts'
import { claimMember, type PlugPhase } from './status.ts'

const DISKS = DEVICES.child('disks')

/** Makes the files of a volume that comes to a running guest. Throws what `guest/failure.ts` tells apart. */
export async function makePluggedFile(look: Look, volume: Volume, disk: Disk): Promise<DiskFile> {
  const { request, parts, files, record, signal, spec } = look
  const index = (spec.volumes ?? []).indexOf(volume)
  const context = {
    ...parts,
    request,
    files,
    user: record.state.launch?.user,
    signal,
    onProgress: (message: string) => look.statuses.change(volume.name, { message }),
  }
  const file = await makeVolume(volume, disk, VOLUMES.index(index), context)
  file.directIo = await supportsDirectIo(file.file, ...(file.backing ? [file.backing.file] : []))
  return file
}

/** The plan of a plug: the spec and the one file it is about. */
export function plugPlan({ spec, parts }: Look, file: DiskFile): PlugPlan {
  return { spec, disks: [file], deviceTypes: parts.qemu.deviceTypes }
}

/**
 * Adds a disk to the running guest: its file, its block node, its device. May be called again after a crash at any
 * point. Throws `QmpError` and what `guest/failure.ts` tells apart; then nothing of it is left in QEMU.
 */
export async function plugDisk(look: Look, volume: Volume): Promise<void> {
  const { machine, record, spec, statuses } = look
  const { name } = volume
  const disk = diskOf(spec, name)
  const bus = disk?.disk?.bus ?? disk?.lun?.bus
  const claim = claimMember(volume, look.request)
  const say = (phase: PlugPhase): void => {
    // A try after one that failed says again what keeps it, until it gets further.
    if (!isFurther(phase, statuses.find(name)?.phase)) return
    statuses.set(name, bus, { phase, hotplugVolume: {}, ...claim })
  }
  if (!disk) return
  say(isBound(look, volume) ? 'Bound' : 'Pending')
  const file = await makePluggedFile(look, volume, disk)
  say('AttachedToNode')
  const plan = plugPlan(look, file)
  const place = await choosePlace(look, plugBusOf(plan, name), idOf(name))
  const plugged = buildPluggedDisk(plan, name, place)
  // Written down before it is taken, so that nobody else is given it.
  const { slots, plugged: before } = record.state
  const { device } = plugged
  const asPlugged = { disk: describeDisk(file, look.request), device: visibleDevice(device) }
  await record.keep({
    slots: { ...slots, [device.id]: slotOf(place) },
    plugged: { ...before, [device.id]: asPlugged },
  })
  await dropNode(look, plugged.nodeName)
  await machine.command('blockdev-add', plugged.node)
  say('MountedToPod')
  try {
    if (plugged.ioThread) await ensureIoThread(look, plugged.ioThread)
    await machine.command('device_add', plugged.device)
  } catch (error) {
    await machine.command('blockdev-del', { 'node-name': plugged.nodeName })
    throw error
  }
  machine.unplugs.delete(plugged.device.id)
  say('Ready')
}

function isBound({ request }: Look, volume: Volume): boolean {
  return request.claims?.[claimNameOf(volume) ?? '']?.isBound ?? false
}

const ORDER: readonly string[] = ['Pending', 'Bound', 'AttachedToNode', 'MountedToPod', 'Ready']

/** Whether a volume that is plugged in gets further by this. */
function isFurther(phase: PlugPhase, before = ''): boolean {
  return phase === 'Ready' || ORDER.indexOf(phase) > ORDER.indexOf(before)
}

/** A node that a try before has left: nothing uses it, as there is no device. */
async function dropNode({ machine, hardware }: Look, nodeName: string): Promise<void> {
  if (!hardware.nodes.has(nodeName)) return
  await machine.command('blockdev-del', { 'node-name': nodeName })
  hardware.nodes.delete(nodeName)
}

async function choosePlace(look: Look, bus: 'virtio' | 'scsi', id: string): Promise<PlugPlace> {
  const { slots } = look.record.state
  const { ports, luns } = withoutKept(await readPlaces(look.machine), slots, id)
  if (bus === 'scsi') {
    const lun = freeLun(luns)
    if (lun === undefined) throw resourceMissing(DISKS, 'the SCSI controller is full: remove a disk')
    return { lun }
  }
  const wanted = slots[id]
  const port = ports.find((one) => one === wanted) ?? ports[0]
  if (port !== undefined) return { port }
  throw resourceMissing(
    DISKS,
    'no PCI port of the running guest is free: use the bus scsi, or restart the guest',
  )
}

function slotOf(place: PlugPlace): string {
  return 'port' in place ? place.port : slotOfLun(place.lun)
}

async function ensureIoThread({ machine }: Look, thread: { id: string }): Promise<void> {
  const threads = await machine.command<{ id: string }[]>('query-iothreads')
  if (!threads.some(({ id }) => id === thread.id)) await machine.command('object-add', thread)
}
