import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Puts `text` in place of what a file held. Whoever reads finds the old or the new text, whole, also after a
 * loss of power. For the worker's own user alone. One at a time: what a crash leaves is used again.
 */
export async function writeDurably(file: string, text: string): Promise<void> {
  const scratch = `${file}.new`
  try {
    await using handle = await open(scratch, 'w', 0o600)
    await handle.writeFile(text)
    await handle.sync()
    await rename(scratch, file)
  } catch (error) {
    await rm(scratch, { force: true })
    throw error
  }
  await syncFolder(dirname(file))
}

/** Makes names that came into a folder, or left it, last. */
export async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r')
  await handle.sync()
}
