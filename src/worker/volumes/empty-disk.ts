import { join } from 'node:path'
import { quantityToBytes } from '../../lib/quantity.ts'
import { invalidConfig } from '../../qemu/argv/error.ts'
import type { VolumeMaker, Volume } from './context.ts'
import { createImage } from './qemu-img.ts'

const MIB = 1024n ** 2n

/** An empty disk that lives as long as the guest. Source: contract 1.7. */
export const makeEmptyDisk: VolumeMaker<NonNullable<Volume['emptyDisk']>> = async (
  source,
  place,
  context,
) => {
  const { name, at, readOnly } = place
  const sizeBytes = (quantityToBytes(source.capacity) / MIB) * MIB
  if (sizeBytes <= 0n) {
    throw invalidConfig(at.child('capacity'), `${source.capacity} is too small for a disk: say at least 1Mi`)
  }
  const file = join(context.files.disks, `${name}.qcow2`)
  await createImage(
    context.qemuImg,
    { file, sizeBytes: Number(sizeBytes), owner: context.user },
    context.signal,
  )
  return { name, file, format: 'qcow2', readOnly }
}
