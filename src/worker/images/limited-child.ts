import { spawn } from 'node:child_process'
import type { FileHandle } from 'node:fs/promises'

/** A program ended otherwise than with code 0. */
export class ChildFailed extends Error {
  override readonly name = 'ChildFailed'
}

/** Far more memory and time than reading a header takes, and an end for one that is made to take more. */
const LIMITS = ['--as=1073741824', '--cpu=10', '--fsize=0', '--core=0']
const TIMEOUT_MS = 30_000
const OUTPUT_LIMIT = 1024 * 1024
/** `nobody`, on every Linux. */
const NOBODY = 65_534

/**
 * What a program prints that is run on a file from outside: with limits, without our environment, and as nobody
 * where we are root. It finds the file as `/proc/self/fd/3`.
 *
 * Throws `ChildFailed` with the end of what it said, and what `spawn` throws.
 */
export async function runLimited(
  command: readonly string[],
  handle: FileHandle,
  signal?: AbortSignal,
): Promise<string> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS)
  const child = spawn('prlimit', [...LIMITS, '--', ...command], {
    cwd: '/',
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'pipe', handle.fd],
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    killSignal: 'SIGKILL',
    ...(process.getuid?.() === 0 && { uid: NOBODY, gid: NOBODY }),
  })
  let output = ''
  let errors = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (output.length <= OUTPUT_LIMIT) return
    child.stdout?.destroy()
    child.kill('SIGKILL')
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-4096)))
  const ended = Promise.withResolvers<void>()
  child.on('error', ended.reject)
  child.on('close', (code, killed) => {
    if (output.length > OUTPUT_LIMIT) return ended.reject(new ChildFailed('it printed too much'))
    if (code === 0) return ended.resolve()
    ended.reject(new ChildFailed(errors.trim() || `it ended with ${killed ?? `code ${code}`}`))
  })
  await ended.promise
  return output
}
