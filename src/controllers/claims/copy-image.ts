import { spawn } from 'node:child_process'
import { open, rename, rm, stat } from 'node:fs/promises'

/** Where a copy stands until it is whole. */
const UNFINISHED = '.filling'
const MESSAGE_LIMIT = 4096

/**
 * Makes `to` a copy of the file `from` that keeps its holes, or shares its blocks where the file system can; what is there
 * before is replaced once the copy is whole and on the disk. Answers `false`, and leaves `to` alone, where somebody has
 * changed `from` meanwhile: the copy would be of no moment that there was. Throws the system's error where `from` is
 * missing, and the reason of `signal`.
 */
export async function copyImage(from: string, to: string, signal: AbortSignal): Promise<boolean> {
  const before = await versionOf(from)
  const unfinished = to + UNFINISHED
  try {
    // A link is copied as one, and refused by who opens it.
    const how = ['--no-dereference', '--remove-destination', '--sparse=always', '--reflink=auto']
    await runCp([...how, '--', from, unfinished], signal)
    await sync(unfinished)
    if ((await versionOf(from)) !== before) return false
    await rename(unfinished, to)
    return true
  } finally {
    await rm(unfinished, { force: true })
  }
}

/** Changes with each write, and with each change of who may write. */
async function versionOf(file: string): Promise<string> {
  const { mtimeNs, ctimeNs, size } = await stat(file, { bigint: true })
  return [mtimeNs, ctimeNs, size].join()
}

async function sync(file: string): Promise<void> {
  await using handle = await open(file, 'r')
  await handle.sync()
}

async function runCp(args: string[], signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const env = { PATH: process.env.PATH, LC_ALL: 'C' }
  const child = spawn('cp', args, { cwd: '/', env, stdio: ['ignore', 'ignore', 'pipe'], signal })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-MESSAGE_LIMIT)))
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.once('error', (error) => reject(signal.aborted ? signal.reason : error))
  child.once('close', (code, killedBy) => {
    if (code === 0) resolve()
    else reject(new Error(`cp: ${said.trim() || `it ended with ${killedBy ?? `code ${code}`}`}`))
  })
  await promise
}
