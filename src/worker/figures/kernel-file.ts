/** Small files that the kernel makes up as they are read. */
import { readFileSync } from 'node:fs'

/**
 * What it says; `undefined` where there is no such file: what it is about has gone, or the kernel is built without it.
 *
 * At once, as it comes out of memory: by way of the thread pool each would take four trips and a buffer of half a megabyte.
 */
export function readKernelFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
