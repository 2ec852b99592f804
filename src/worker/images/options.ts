import type { Dispatcher } from '../../lib/http-client.ts'
import type { PullSecrets } from './docker-auth.ts'
import type { Descriptor } from './manifest.ts'
import type { PullProgress } from './pull.ts'
import type { PullPolicy } from './reference.ts'
import type { Sleep } from './retry.ts'
import type { VettedDisk } from './vet.ts'

/** Where the store tells of what it does. */
export interface ImageLog {
  info(fields: Record<string, unknown>, text: string): void
  warn(fields: Record<string, unknown>, text: string): void
}

/** What a store is opened with. */
export interface ImageStoreOptions {
  /** Folder for everything; made where it is missing. QEMU's user has to be able to pass through it. */
  dir: string
  log: ImageLog
  /** Registries, `host` or `host:port`, that are spoken to without TLS. None by default. */
  insecureRegistries?: readonly string[]
  /** Compressed bytes of one image: 32 GiB by default. */
  maxImageBytes?: number
  /** Decompressed bytes of one layer: 128 GiB by default. */
  maxLayerBytes?: number
  /** What a guest may see of one disk: 16 TiB by default. */
  maxVirtualBytes?: number
  /** Connections to registries. Closed with the store only where none are handed in. */
  dispatcher?: Dispatcher
  sleep?: Sleep
  /** Name or path of the program; `qemu-img` by default. */
  qemuImg?: string
}

/** How an image is wanted. */
export interface EnsureOptions {
  pullSecrets?: PullSecrets
  /** By default as Kubernetes does: `Always` for the tag `latest`, else `IfNotPresent`. */
  policy?: PullPolicy
  /** Who has the image from now on, so that it stays until `dropUses` is told that they are gone: a guest's directory. */
  holder?: string
  onProgress?: (progress: PullProgress) => void
  signal?: AbortSignal
}

/** An image that is here with all its blobs. */
export interface LocalImage {
  /** In full, as in `docker.io/library/debian:12`. */
  reference: string
  /** Digest of the manifest. */
  digest: string
  /** Bottom layer first. */
  layers: readonly Descriptor[]
}

/** A disk that a guest's overlay may stand on. */
export interface ImageDisk extends VettedDisk {
  /** Absolute path; read-only, and the same for all guests with this image. */
  file: string
}
