import { isRecord } from '../../lib/json.ts'
import { reasonOf, rejected } from './error.ts'

/** What points at a blob. Source: "OCI Content Descriptors". */
export interface Descriptor {
  mediaType: string
  digest: string
  /** Bytes. */
  size: number
}

/** An image for one platform. */
export interface ImageManifest {
  config: Descriptor
  /** Bottom layer first. */
  layers: Descriptor[]
}

/** A list of images for several platforms. */
interface ImageIndex {
  manifests: (Descriptor & { platform?: { os: string; architecture: string } })[]
}

/** Media type of an image that we make ourselves. */
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

const MANIFESTS = [OCI_MANIFEST, 'application/vnd.docker.distribution.manifest.v2+json']

const INDEXES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]

/** What a registry is told we understand. */
export const ACCEPTED_MANIFESTS = [...INDEXES, ...MANIFESTS].join(', ')

const LAYERS =
  /^application\/vnd\.(oci\.image\.layer\.v1\.tar|docker\.image\.rootfs\.diff\.tar)([.+](gzip|zstd))?$/

const MAX_LAYERS = 256

/** A manifest of either sort. */
export type Manifest = { type: 'image'; image: ImageManifest } | { type: 'index'; index: ImageIndex }

/**
 * Reads a manifest.
 *
 * `mediaType` is what the registry called it. A document that calls itself something else, or could be read as
 * both sorts, is refused, so that nobody can take the same bytes for two different images (CVE-2021-41190).
 * Throws `ImageError` with reason `ImageRejected`; `where` is named in it.
 */
export function parseManifest(bytes: Buffer, mediaType: string | undefined, where: string): Manifest {
  const body = parseJson(bytes, where)
  const stated = typeof body.mediaType === 'string' ? body.mediaType : undefined
  const type = stated ?? mediaType?.split(';')[0]?.trim()
  if (stated !== undefined && mediaType !== undefined && !mediaType.startsWith(stated)) {
    throw rejected(`the manifest of ${where} calls itself ${stated}, and the registry calls it ${mediaType}`)
  }
  if (body.schemaVersion !== 2) {
    throw rejected(`the manifest of ${where} has an old format; push the image again with a current tool`)
  }
  if ('manifests' in body && ('layers' in body || 'config' in body)) {
    throw rejected(`the manifest of ${where} is both an image and a list of images`)
  }
  if (INDEXES.includes(type ?? '') || (type === undefined && 'manifests' in body)) {
    return { type: 'index', index: parseIndex(body, where) }
  }
  if (MANIFESTS.includes(type ?? '') || (type === undefined && 'layers' in body)) {
    return { type: 'image', image: parseImage(body, where) }
  }
  throw rejected(`${where} is not a container image: its type is ${type}`)
}

/**
 * The image for a platform: `linux` and this architecture, else the only one there is.
 *
 * Throws `ImageError`, which lists the platforms that there are.
 */
export function pickPlatform({ manifests }: ImageIndex, architecture: string, where: string): Descriptor {
  // Build tools add attestations, which say that they are for no platform.
  const images = manifests.filter(({ platform }) => platform?.os !== 'unknown')
  const match = images.find(
    ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
  )
  const [only] = images
  const found = match ?? (images.length === 1 ? only : undefined)
  if (found !== undefined) return found
  const there = images.map(({ platform }) => (platform ? `${platform.os}/${platform.architecture}` : '?'))
  throw rejected(
    `${where} has no image for linux/${architecture}; it has ${there.join(', ') || 'none at all'}`,
  )
}

/** Architecture of this machine as images spell it. */
export function imageArchitecture(arch: string = process.arch): string {
  return arch === 'x64' ? 'amd64' : arch
}

function parseJson(bytes: Buffer, where: string) {
  let body: unknown
  try {
    body = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw rejected(`the manifest of ${where} is not JSON: ${reasonOf(cause)}`, cause)
  }
  if (!isRecord(body)) throw rejected(`the manifest of ${where} is not a JSON object`)
  return body
}

function parseIndex({ manifests }: Record<string, unknown>, where: string): ImageIndex {
  if (!Array.isArray(manifests)) throw rejected(`the index of ${where} has no list of manifests`)
  return {
    manifests: manifests.map((each: unknown) => {
      const platform = isRecord(each) && isRecord(each.platform) ? each.platform : undefined
      const { os, architecture } = platform ?? {}
      return {
        ...parseDescriptor(each, where),
        ...(typeof os === 'string' && typeof architecture === 'string' && { platform: { os, architecture } }),
      }
    }),
  }
}

function parseImage({ config, layers }: Record<string, unknown>, where: string): ImageManifest {
  if (!Array.isArray(layers) || layers.length === 0) throw rejected(`the image ${where} has no layers`)
  if (layers.length > MAX_LAYERS) throw rejected(`the image ${where} has more than ${MAX_LAYERS} layers`)
  const parsed = layers.map((layer: unknown) => parseDescriptor(layer, where))
  const odd = parsed.find(({ mediaType }) => !LAYERS.test(mediaType))
  if (odd) {
    throw rejected(`${where} is not an image with files: a layer is ${odd.mediaType}, not a tar archive`)
  }
  return { config: parseDescriptor(config, where), layers: parsed }
}

function parseDescriptor(value: unknown, where: string): Descriptor {
  const { mediaType, digest, size } = isRecord(value) ? value : {}
  if (typeof mediaType !== 'string' || typeof digest !== 'string' || typeof size !== 'number') {
    throw rejected(`the manifest of ${where} has a descriptor without mediaType, digest or size`)
  }
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) {
    throw rejected(
      `the manifest of ${where} has the digest ${JSON.stringify(digest)}; only sha256 is known here`,
    )
  }
  if (!Number.isSafeInteger(size) || size < 0)
    throw rejected(`the manifest of ${where} has a size of ${size}`)
  return { mediaType, digest, size }
}
