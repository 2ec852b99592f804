import { join } from 'node:path'
import type { VolumeMaker, Volume } from './context.ts'
import { pull } from './pull.ts'
import { createImage } from './qemu-img.ts'

/**
 * A disk from a container image. What the guest writes goes to an overlay of its own; the image itself is shared
 * by all guests and never changes. A read-only disk needs no overlay.
 */
export const makeContainerDisk: VolumeMaker<NonNullable<Volume['containerDisk']>> = async (
  source,
  place,
  context,
) => {
  const { name, at, readOnly } = place
  const { files, images, user, qemuImg, signal } = context
  const image = await pull(source, at, context)
  const {
    file: base,
    format,
    virtualSizeBytes,
  } = await images.disk(image, source.path || undefined, { signal })
  if (readOnly) return { name, file: base, format, readOnly }
  const file = join(files.disks, `${name}.qcow2`)
  const backing = { file: base, format }
  await createImage(qemuImg, { file, sizeBytes: virtualSizeBytes, backing, owner: user }, signal)
  return { name, file, format: 'qcow2', readOnly, backing }
}
