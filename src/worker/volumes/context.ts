import type { FieldPath } from '../../lib/field-path.ts'
import { FieldPath as Path } from '../../lib/field-path.ts'
import type { VmiSpec } from '../../kinds/kubevirt.ts'
import type { DiskFile } from '../../qemu/plan.ts'
import type { ResolvedData, SyncRequest } from '../../rpc/actions.ts'
import type { GuestFiles } from '../files/paths.ts'
import { GuestFailure } from '../guest/failure.ts'
import type { ImageStore } from '../images/store.ts'
import type { Limit } from '../limit.ts'
import type { QemuUser } from '../user.ts'

export type Volume = NonNullable<VmiSpec['volumes']>[number]
export type Disk = NonNullable<VmiSpec['domain']['devices']['disks']>[number]

/** What the worker takes from an image store. */
export type Images = Pick<ImageStore, 'ensure' | 'disk' | 'file'>

/** What a volume is made with. */
export interface VolumeContext {
  request: SyncRequest
  files: GuestFiles
  /** Owner of the files that are made; absent where that is ourselves. */
  user: QemuUser | undefined
  images: Images
  pulls: Limit
  /** Program that makes disks. */
  qemuImg: string
  /** Directories below which hosts' files may be given to guests. */
  hostDiskPrefixes: readonly string[]
  /** Where claims stand, as `NAMESPACE/NAME`; absent where this node has none. */
  claimsDir?: string
  signal: AbortSignal
  /** Told what is being done, for people. */
  onProgress: (message: string) => void
}

/** Makes the files of one volume. `at` is the path of the volume's source, such as `spec.volumes[0].emptyDisk`. */
export type VolumeMaker<Source> = (
  source: Source,
  place: { name: string; at: FieldPath; readOnly: boolean; shareable?: boolean },
  context: VolumeContext,
) => Promise<DiskFile>

export const VOLUMES = new Path('spec.volumes')

/** What a Secret or ConfigMap of the request holds: key → contents. Throws where the request lacks it. */
export function contentsOf(
  kind: 'Secret' | 'ConfigMap',
  name: string | undefined,
  at: FieldPath,
  { request }: Pick<VolumeContext, 'request'>,
  optional = false,
): Record<string, Buffer> {
  const all: ResolvedData = kind === 'Secret' ? request.secrets : request.configMaps
  const data = name !== undefined && Object.hasOwn(all, name) ? all[name] : undefined
  if (!data && !optional) {
    throw new GuestFailure(
      'StorageNotReady',
      'always',
      `${String(at)}: there is no ${kind} "${name}": create it, or name another`,
    )
  }
  return Object.fromEntries(
    Object.entries(data ?? {}).map(([key, text]) => [key, Buffer.from(text, 'base64')]),
  )
}
