import { constants, open } from 'node:fs/promises'

/**
 * Whether every one of these files can be opened past the host's page cache, as `cache: none` asks for; memory file
 * systems and some others cannot. Throws the system's error for anything else that keeps a file from being opened.
 */
export async function supportsDirectIo(...files: string[]): Promise<boolean> {
  for (const file of files) {
    try {
      await using _handle = await open(file, constants.O_RDONLY | constants.O_DIRECT)
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EINVAL') return false
      throw error
    }
  }
  return true
}
