import { execFile } from 'node:child_process'
import { errnoOf } from '../../files/errno.ts'

const LIMIT_MS = 10_000
const OUTPUT_BYTES = 4 * 1024 * 1024

/** A program of the host would not do what it was told. */
export class HostCommandFailed extends Error {
  /** Whether the program is not there. */
  readonly isMissing: boolean

  constructor(command: readonly string[], why: string, cause: unknown) {
    super(`${command.join(' ')}: ${why}`, { cause })
    this.name = 'HostCommandFailed'
    this.isMissing = errnoOf(cause) === 'ENOENT'
  }
}

/** Runs a program to its end and answers what it prints. Throws `HostCommandFailed`. */
export async function run([program = '', ...args]: readonly string[], input = ''): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const options = { timeout: LIMIT_MS, maxBuffer: OUTPUT_BYTES, env: { PATH: process.env.PATH, LC_ALL: 'C' } }
  const child = execFile(program, args, options, (error, stdout, stderr) => {
    if (!error) return resolve(stdout)
    const [said] = stderr.trim().split('\n')
    const why = errnoOf(error) === 'ENOENT' ? 'there is no such program' : said || error.message
    reject(new HostCommandFailed([program, ...args], why, error))
  })
  // A program that is not there, or has ended, reads nothing.
  child.stdin?.on('error', () => {})
  child.stdin?.end(input)
  return promise
}
