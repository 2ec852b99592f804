import { open } from 'node:fs/promises'
import { unlessMissing } from './errno.ts'

/**
 * Cuts a log that another process appends to and keeps open, once it has more than `limitBytes`: its last half stays.
 * The process need not be told, as it always writes at the end. What it writes during the cut may come before what
 * stays, and a few lines of that moment may be lost. Answers whether it was cut; a file that is missing is none.
 *
 * Source: `O_APPEND` in open(2), ftruncate(2).
 */
export async function trimLog(file: string, limitBytes: number): Promise<boolean> {
  const found = await unlessMissing(open(file, 'r+'))
  if (!found) return false
  await using log = found
  const { size } = await log.stat()
  if (size <= limitBytes) return false
  await using end = await open(file, 'a')
  const kept = Buffer.alloc(Math.floor(limitBytes / 2))
  const { bytesRead } = await log.read(kept, 0, kept.length, size - kept.length)
  const text = kept.subarray(0, bytesRead)
  await log.truncate(0)
  await end.write(text.subarray(text.indexOf('\n') + 1))
  return true
}
