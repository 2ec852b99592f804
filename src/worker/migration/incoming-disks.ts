import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DiskFile } from '../../qemu/plan.ts'
import { type Volume, type VolumeContext, VOLUMES } from '../volumes/context.ts'
import { makeVolume } from '../volumes/index.ts'
import { createImage, giveTo } from '../volumes/qemu-img.ts'
import { type DiskFacts, type GuestFacts, inodeOf } from './facts.ts'
import { MigrationFailed } from './failure.ts'

/**
 * The files of all volumes of a guest that is about to arrive: bases from the same images, empty ones for what is
 * copied, generated ones byte for byte, shared ones where they stand.
 *
 * Throws `MigrationFailed`, and what volumes throw.
 */
export async function makeIncomingDisks(facts: GuestFacts, context: VolumeContext): Promise<DiskFile[]> {
  const { volumes = [] } = context.request.vmi.spec
  const made: DiskFile[] = []
  for (const [index, volume] of volumes.entries()) {
    // It is for the worker to write to, and no disk of the guest.
    if (volume.memoryDump) continue
    const fact = facts.disks.find(({ name }) => name === volume.name)
    if (!fact) {
      throw new MigrationFailed(
        'incompatible-target',
        `the running guest has no disk ${volume.name}, and its spec has: restart it first`,
      )
    }
    const disk = await makeDisk(volume, index, fact, context)
    if (fact.directIo !== undefined) disk.directIo = fact.directIo
    made.push(disk)
  }
  return made
}

async function makeDisk(
  volume: Volume,
  index: number,
  fact: DiskFacts,
  context: VolumeContext,
): Promise<DiskFile> {
  const { name, format, virtualBytes, role } = fact
  const { files, user, qemuImg, signal, request } = context
  const spec = request.vmi.spec.domain.devices.disks?.find((one) => one.name === name)
  const make = async (one: Volume): Promise<DiskFile> => makeVolume(one, spec, VOLUMES.index(index), context)
  switch (role) {
    case 'image':
      return make(volume)
    case 'overlay': {
      const disk = await make(volume)
      const { file, backing } = disk
      if (fact.inode !== undefined && backing) await checkShared(backing.file, fact)
      // Anew, with the size it has by now.
      await createImage(
        qemuImg,
        { file, sizeBytes: virtualBytes, ...(backing && { backing }), owner: user },
        signal,
      )
      return disk
    }
    case 'blank': {
      const file = join(volume.emptyDisk ? files.disks : files.generated, `${name}.${format}`)
      if (format === 'qcow2')
        await createImage(qemuImg, { file, sizeBytes: virtualBytes, owner: user }, signal)
      else await makeRaw(file, virtualBytes, context)
      return { name, file, format, readOnly: false }
    }
    case 'generated': {
      const file = join(files.generated, `${name}.iso`)
      await writeFile(file, Buffer.from(fact.data ?? '', 'base64'), { mode: 0o600 })
      await giveTo(file, user)
      return { name, file, format, readOnly: true }
    }
    case 'shared': {
      const disk = await make(mustExist(volume))
      await checkShared(disk.file, fact)
      return disk
    }
    case 'local':
      throw new MigrationFailed('storage', `the volume ${name} is a file of the source alone`)
  }
}

async function makeRaw(file: string, bytes: number, { user }: VolumeContext): Promise<void> {
  {
    await using handle = await open(file, 'w', 0o600)
    await handle.truncate(bytes)
  }
  await giveTo(file, user)
}

/** A shared file is there already; one that this node would have to make is not the guest's. */
function mustExist(volume: Volume): Volume {
  const { hostDisk } = volume
  return hostDisk ? { ...volume, hostDisk: { ...hostDisk, type: 'Disk' } } : volume
}

/** A file of the same name need not be the same file. */
async function checkShared(file: string, { name, inode }: DiskFacts): Promise<void> {
  if ((await inodeOf(file)) === inode) return
  throw new MigrationFailed(
    'storage',
    `the volume ${name} is said to be shared, and its file is not the same on both nodes: mount the same file system on both`,
  )
}
