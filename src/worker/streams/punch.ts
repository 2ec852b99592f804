import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
const LIMIT_MS = 10_000

/**
 * Gives the first `bytes` of a file back to the file system; the file stays as long as it is, and reads as zeros there.
 * Answers why that is not possible here, for people; `undefined` where it is done.
 *
 * Node has no call for it, util-linux has a program. Source: fallocate(1), `--punch-hole`; fallocate(2).
 */
export async function punchHead(file: string, bytes: number): Promise<string | undefined> {
  try {
    const args = ['--punch-hole', '--offset', '0', '--length', String(bytes), '--', file]
    await run('fallocate', args, {
      cwd: '/',
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
      timeout: LIMIT_MS,
    })
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
