import type { FieldPath } from '../../lib/field-path.ts'
import type { PullProgress } from '../images/pull.ts'
import type { LocalImage } from '../images/store.ts'
import { oneOf } from '../../qemu/argv/spec.ts'
import type { VolumeContext } from './context.ts'
import { GuestFailure } from '../guest/failure.ts'

/** Where an image comes from, as a containerDisk and a kernel say it. */
export interface ImageSource {
  image: string
  imagePullPolicy?: string
  imagePullSecret?: string
}

const POLICIES = ['Always', 'IfNotPresent', 'Never'] as const
const MIB = 1024 ** 2

/** The image of a source, pulled where it has to be. Throws `ImageError`. */
export async function pull(source: ImageSource, at: FieldPath, context: VolumeContext): Promise<LocalImage> {
  const { files, images, pulls, signal, onProgress } = context
  const { image, imagePullPolicy, imagePullSecret } = source
  const secret = imagePullSecret ? pullSecret(imagePullSecret, at, context) : undefined
  onProgress(`waiting to pull ${image}`)
  const local = await pulls.run(
    () =>
      images.ensure(image, {
        holder: files.stateDir,
        ...(secret && { pullSecrets: secret }),
        ...(imagePullPolicy && {
          policy: oneOf(imagePullPolicy, POLICIES, 'IfNotPresent', at.child('imagePullPolicy')),
        }),
        onProgress: (progress) => onProgress(formatProgress(image, progress)),
        signal,
      }),
    signal,
  )
  onProgress(`unpacking ${image}`)
  return local
}

function pullSecret(name: string, at: FieldPath, { request }: VolumeContext) {
  const data = Object.hasOwn(request.secrets, name) ? request.secrets[name] : undefined
  if (data) return { [name]: data }
  const field = at.child('imagePullSecret')
  throw new GuestFailure(
    'ErrImagePull',
    'always',
    `${String(field)}: there is no Secret "${name}": create it, or name another`,
  )
}

function formatProgress(image: string, { doneBytes, totalBytes }: PullProgress): string {
  const [done, total] = [doneBytes, totalBytes].map((bytes) => (bytes / MIB).toFixed(1))
  return `pulling ${image}: ${done} of ${total} MiB`
}
