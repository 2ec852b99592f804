import { chmod, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { copyImage } from './copy-image.ts'

/** The one image in a claim's directory. Source: contract 1.7. */
const IMAGE = 'disk.img'

/** A claim by its place. */
export interface ClaimPlace {
  namespace: string
  name: string
}

/** Keeps the directories of claims. */
export interface ClaimFiles {
  /** Makes the directory of a claim where it is missing. Throws the system's error. */
  create(namespace: string, name: string): Promise<void>
  /** Removes it with all that is in it. */
  remove(namespace: string, name: string): Promise<void>
  /**
   * Copies the image of one claim to another, whose directory is there; a claim that has none yet is empty, and so is its
   * copy. Answers `false` where the image was changed meanwhile. Throws the system's error and the reason of `signal`.
   */
  copy(from: ClaimPlace, to: ClaimPlace, signal: AbortSignal): Promise<boolean>
}

/** Names of Kubernetes objects: they become parts of paths. */
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/
/** QEMU's users pass through to the files whose names they are told, and can list and add none. */
const MODE = 0o711

/** Claims below a directory, as `NAMESPACE/NAME`. */
export function claimFiles(dir: string): ClaimFiles {
  const placeOf = (namespace: string, name: string): string => {
    if (!NAME.test(namespace) || !NAME.test(name)) {
      throw new RangeError(`${JSON.stringify(`${namespace}/${name}`)} cannot name a claim's directory`)
    }
    return join(dir, namespace, name)
  }
  return {
    async create(namespace, name) {
      const place = placeOf(namespace, name)
      for (const folder of [dir, join(dir, namespace), place]) {
        await mkdir(folder, { recursive: true, mode: MODE })
        // Whatever the mask of this process is.
        await chmod(folder, MODE)
      }
    },
    async remove(namespace, name) {
      await rm(placeOf(namespace, name), { recursive: true, force: true })
    },
    async copy(from, to, signal) {
      const source = placeOf(from.namespace, from.name)
      if (!(await readdir(source)).includes(IMAGE)) return true
      return copyImage(join(source, IMAGE), join(placeOf(to.namespace, to.name), IMAGE), signal)
    },
  }
}
