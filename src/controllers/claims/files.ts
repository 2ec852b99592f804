import { chmod, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Keeps the directories of claims. */
export interface ClaimFiles {
  /** Makes the directory of a claim where it is missing. Throws the system's error. */
  create(namespace: string, name: string): Promise<void>
  /** Removes it with all that is in it. */
  remove(namespace: string, name: string): Promise<void>
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
  }
}
