import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { type Pack, pack } from 'tar-stream'
import { splitPath } from './find.ts'
import { type Layout, writeBlob } from './layout.ts'
import { type Descriptor, OCI_MANIFEST, imageArchitecture } from './manifest.ts'
import { singleChunk } from './pull.ts'

/** A file for an image that is made here. */
export type ImageFile = {
  /** Absolute path in the image. */
  path: string
  mode?: number
} & ({ file: string } | { data: Buffer | string })

/**
 * Makes an image of one layer with these files. The same files make the same image, byte for byte.
 *
 * Throws `ImageError` for a path that is none, and what reading the files throws.
 */
export async function makeImage(layout: Layout, files: readonly ImageFile[]): Promise<Descriptor> {
  const layer = await writeBlob(layout, packFiles(files), {
    mediaType: 'application/vnd.oci.image.layer.v1.tar',
  })
  const config = await writeJson(layout, 'application/vnd.oci.image.config.v1+json', {
    architecture: imageArchitecture(),
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  })
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] }
  return writeJson(layout, OCI_MANIFEST, manifest)
}

async function writeJson(layout: Layout, mediaType: string, value: unknown): Promise<Descriptor> {
  return writeBlob(layout, singleChunk(Buffer.from(JSON.stringify(value))), { mediaType })
}

async function* packFiles(files: readonly ImageFile[]): AsyncGenerator<Buffer> {
  const archive = pack()
  const filled = fill(archive, files).catch((error: Error) => archive.destroy(error))
  try {
    yield* archive as AsyncIterable<Buffer>
    await filled
  } finally {
    archive.destroy()
  }
}

async function fill(archive: Pack, files: readonly ImageFile[]): Promise<void> {
  for (const file of files) {
    const name = splitPath(file.path).join('/')
    const header = { name, mode: file.mode ?? 0o644, mtime: new Date(0) }
    if ('data' in file) {
      archive.entry(header, file.data)
      continue
    }
    const { size } = await stat(file.file)
    await pipeline(createReadStream(file.file), archive.entry({ ...header, size }))
  }
  archive.finalize()
}
