import type { LocalImage } from '../images/store.ts'
import type { Images } from '../volumes/context.ts'
import { MigrationFailed } from './failure.ts'

/** Images as a guest takes them, by reference: digests that are asked for, or those that were found. */
export interface PinnedImages extends Images {
  /** Reference as the spec writes it → digest of the manifest, of all images that were taken. */
  readonly digests: Readonly<Record<string, string>>
}

/**
 * Images of a store, each of which has to have the digest in `wanted` where that names it: a disk that is copied
 * onto another base than it stood on would be broken. A tag that leads elsewhere by now is passed over.
 */
export function pinImages(images: Images, wanted: Readonly<Record<string, string>> = {}): PinnedImages {
  const digests: Record<string, string> = {}
  const ensure: Images['ensure'] = async (text, options) => {
    const local = await ensurePinned(
      images,
      text,
      Object.hasOwn(wanted, text) ? wanted[text] : undefined,
      options,
    )
    digests[text] = local.digest
    return local
  }
  return {
    digests,
    ensure,
    disk: (...args) => images.disk(...args),
    file: (...args) => images.file(...args),
  }
}

async function ensurePinned(
  images: Images,
  text: string,
  wanted: string | undefined,
  options: Parameters<Images['ensure']>[1],
): Promise<LocalImage> {
  if (wanted === undefined) return images.ensure(text, options)
  const first = await images.ensure(text, options).catch((error: unknown) => {
    // What the tag leads to may be gone, and the image that is wanted still be there.
    if (text.includes('@')) throw error
    return undefined
  })
  if (first?.digest === wanted) return first
  const [name = ''] = text.split('@')
  const { policy: _policy, ...rest } = options ?? {}
  const pinned = await images.ensure(`${name}@${wanted}`, rest).catch((error: unknown) => {
    throw new MigrationFailed(
      'incompatible-target',
      `this node cannot get the image ${text} with the digest ${wanted}, which the guest runs on`,
      error,
    )
  })
  if (pinned.digest === wanted) return pinned
  throw new MigrationFailed(
    'incompatible-target',
    `the image ${text} is not the one with the digest ${wanted}`,
  )
}
