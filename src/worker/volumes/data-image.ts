import { join } from 'node:path'
import type { DiskFile } from '../../qemu/plan.ts'
import { invalidConfig } from '../../qemu/argv/error.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { type IsoContents, writeIso } from '../images/iso.ts'
import { contentsOf, type Volume, type VolumeContext, type VolumeMaker } from './context.ts'
import { giveTo } from './qemu-img.ts'

const DEFAULT_LABEL = 'cfgdata'
/** Where Windows looks for what its set-up would ask. Source: contract 1.7. */
const SYSPREP_LABEL = 'unattendCD'
const ANSWER_FILE = /^(auto)?unattend\.xml$/i

/** Writes an image that guests read data from, and describes it as a disk. Throws `InvalidConfiguration`. */
export async function makeDataImage(
  contents: IsoContents,
  { name, at, readOnly }: { name: string; at: FieldPath; readOnly: boolean },
  { files, user }: VolumeContext,
): Promise<DiskFile> {
  const file = join(files.generated, `${name}.iso`)
  try {
    await writeIso(file, contents)
  } catch (error) {
    if (error instanceof RangeError) throw invalidConfig(at, error.message)
    throw error
  }
  await giveTo(file, user)
  // Of this guest alone, so it may write to it where its disk is writable: SATA disks have to be.
  return { name, file, format: 'raw', readOnly }
}

/** An image with one file per key of a ConfigMap. */
export const makeConfigMap: VolumeMaker<NonNullable<Volume['configMap']>> = async (
  source,
  place,
  context,
) => {
  const { name, optional, volumeLabel } = source
  const files = contentsOf('ConfigMap', name, place.at, context, optional)
  return makeDataImage({ label: volumeLabel || DEFAULT_LABEL, files }, place, context)
}

/** An image with one file per key of a Secret. */
export const makeSecret: VolumeMaker<NonNullable<Volume['secret']>> = async (source, place, context) => {
  const { secretName, optional, volumeLabel } = source
  const files = contentsOf('Secret', secretName, place.at, context, optional)
  return makeDataImage({ label: volumeLabel || DEFAULT_LABEL, files }, place, context)
}

/** An image with the answers to what the set-up of Windows asks. */
export const makeSysprep: VolumeMaker<NonNullable<Volume['sysprep']>> = async (source, place, context) => {
  const { secret, configMap } = source
  if (!secret === !configMap) throw invalidConfig(place.at, 'names not exactly one of secret and configMap')
  const files = secret
    ? contentsOf('Secret', secret.name, place.at, context)
    : contentsOf('ConfigMap', configMap?.name, place.at, context)
  if (!Object.keys(files).some((key) => ANSWER_FILE.test(key))) {
    throw invalidConfig(place.at, 'has neither a key autounattend.xml nor unattend.xml: add one')
  }
  return makeDataImage({ label: SYSPREP_LABEL, files }, place, context)
}
