import { spawn } from 'node:child_process'
import { open } from 'node:fs/promises'
import type { QemuUser } from '../user.ts'

/** `qemu-img` did not do what it was asked. */
export class QemuImgFailed extends Error {
  constructor(what: string, said: string, cause?: unknown) {
    super(`qemu-img could not ${what}: ${said}`, cause === undefined ? undefined : { cause })
    this.name = 'QemuImgFailed'
  }
}

/** A qcow2 image to make. */
export interface NewImage {
  file: string
  sizeBytes: number
  /** Image that is read where the new one has not been written to. Not opened. */
  backing?: { file: string; format: 'raw' | 'qcow2' }
  owner: QemuUser | undefined
}

const MESSAGE_LIMIT = 4096

/** Makes a qcow2 image for its owner alone. Throws `QemuImgFailed` and the reason of `signal`. */
export async function createImage(qemuImg: string, image: NewImage, signal: AbortSignal): Promise<void> {
  const { file, sizeBytes, backing, owner } = image
  const standsOn = backing ? ['-u', '-b', backing.file, '-F', backing.format] : []
  await run(
    qemuImg,
    ['create', '-q', '-f', 'qcow2', ...standsOn, file, String(sizeBytes)],
    `make ${file}`,
    signal,
  )
  await giveTo(file, owner)
}

/** Hands a file that we made over to QEMU's user. */
export async function giveTo(file: string, owner: QemuUser | undefined): Promise<void> {
  await using handle = await open(file, 'r')
  await handle.chmod(0o600)
  if (owner) await handle.chown(owner.uid, owner.gid)
}

async function run(program: string, args: string[], what: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const child = spawn(program, args, {
    cwd: '/',
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    stdio: ['ignore', 'ignore', 'pipe'],
    signal,
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-MESSAGE_LIMIT)))
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.once('error', (error) =>
    reject(signal.aborted ? signal.reason : new QemuImgFailed(what, error.message, error)),
  )
  child.once('close', (code, killedBy) => {
    if (code === 0) resolve()
    else reject(new QemuImgFailed(what, said.trim() || `it ended with ${killedBy ?? `code ${code}`}`))
  })
  await promise
}
