import { diskOf, isHotpluggable, type Volume } from '../../kinds/volumes.ts'
import { buildMediumNode } from '../../qemu/argv/plugged-disk.ts'
import type { Look } from './context.ts'
import { idOf } from './devices.ts'
import { makePluggedFile, plugPlan } from './plug.ts'
import { claimMember } from './status.ts'

/** Whether a disk of the spec is a drive that the running guest has. */
export function isDriveOfGuest({ spec, hardware }: Look, name: string): boolean {
  const driver = hardware.disks.get(idOf(name))?.driver
  return diskOf(spec, name)?.cdrom !== undefined && (driver === 'scsi-cd' || driver === 'ide-cd')
}

/**
 * Puts the volume of a drive into it. The order is that of the contract, 2.7; a crash in between leaves an empty drive,
 * which is filled at the next look.
 */
export async function insertMedium(look: Look, volume: Volume): Promise<void> {
  const { machine, spec, statuses, hardware } = look
  const { name } = volume
  const disk = diskOf(spec, name)
  if (!disk) return
  const id = idOf(name)
  const file = await makePluggedFile(look, volume, disk)
  const { node, nodeName } = buildMediumNode(plugPlan(look, file), name)
  await openTray(look, id)
  if (hardware.nodes.has(nodeName)) await machine.command('blockdev-del', { 'node-name': nodeName })
  await machine.command('blockdev-add', node)
  await machine.command('blockdev-insert-medium', { id, 'node-name': nodeName })
  await machine.command('blockdev-close-tray', { id })
  statuses.set(name, disk.cdrom?.bus ?? 'sata', {
    phase: 'Ready',
    hotplugVolume: {},
    ...claimMember(volume, look.request),
  })
}

/** Takes the medium out of a drive, whatever the guest does with it. */
export async function ejectMedium(look: Look, name: string): Promise<void> {
  const { machine, hardware, statuses } = look
  const id = idOf(name)
  const nodeName = hardware.media.get(id)
  statuses.change(name, { phase: 'Detaching' })
  await openTray(look, id)
  if (nodeName !== undefined && hardware.nodes.delete(nodeName)) {
    await machine.command('blockdev-del', { 'node-name': nodeName })
  }
  hardware.media.set(id, undefined)
  await machine.command('blockdev-close-tray', { id })
  statuses.remove(name)
}

async function openTray({ machine }: Look, id: string): Promise<void> {
  await machine.command('blockdev-open-tray', { id, force: true })
  await machine.command('blockdev-remove-medium', { id })
}

/** The drives of the guest that hold a medium which the spec does not give them any more. */
export function drivesToEmpty(look: Look): string[] {
  const { spec, hardware, statuses } = look
  return [...hardware.media].flatMap(([id, nodeName]) => {
    const name = id.replace(/^ua-/, '')
    if (nodeName === undefined || !isDriveOfGuest(look, name) || statuses.isPermanent(name)) return []
    const volume = (spec.volumes ?? []).find((one) => one.name === name)
    return volume && isHotpluggable(volume) ? [] : [name]
  })
}
