import { randomBytes } from 'node:crypto'
import { link, lstat, rm } from 'node:fs/promises'
import { createConnection, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from './errno.ts'

/** A socket is not what QEMU made: somebody has put something else in its place. */
export class UntrustedSocket extends Error {
  constructor(path: string, why: string) {
    super(`will not connect to ${path}: ${why}`)
    this.name = 'UntrustedSocket'
  }
}

/** A socket of one QEMU. */
export interface QemuSocket {
  /** Where QEMU listens, in a directory that it can write to. */
  socket: string
  /** A directory that only we can reach, on the same file system. */
  pinDir: string
  /** User that QEMU runs as. */
  ownerUid: number
}

const RETRY_MS = 5
const NAME_BYTES = 6

/**
 * Hands `use` a path that leads to QEMU's socket, whatever QEMU's user may do to its directory meanwhile.
 *
 * A QEMU taken over by its guest could put a link in the place of its socket that leads to a socket of somebody
 * with more rights (CVE-2026-7374). So the file itself, never what a link leads to, is given a second name that
 * is out of QEMU's reach, and only that name is looked at and connected to. Whose it is, its owner says: each guest's QEMU
 * has a user of its own (`user.ts`). The pid of the peer, which Node has no way to ask for, would add something only where a
 * container has too few users for that.
 *
 * Waits for the socket while `alive`; throws the reason of `signal` and `UntrustedSocket`.
 */
export async function withPinned<T>(
  { socket, pinDir, ownerUid }: QemuSocket,
  { alive, signal }: { alive: () => boolean; signal: AbortSignal },
  use: (path: string) => Promise<T>,
): Promise<T> {
  const pin = join(pinDir, randomBytes(NAME_BYTES).toString('hex'))
  try {
    while (!(await linkIfThere(socket, pin))) {
      if (!alive()) throw new UntrustedSocket(socket, 'QEMU ended before it listened there')
      await sleep(RETRY_MS, undefined, { signal }).catch(() => signal.throwIfAborted())
    }
    await checkSocket(pin, socket, ownerUid)
    return await use(pin)
  } finally {
    await rm(pin, { force: true })
  }
}

async function checkSocket(pin: string, socket: string, ownerUid: number): Promise<void> {
  const found = await lstat(pin)
  if (!found.isSocket()) throw new UntrustedSocket(socket, 'it is not a socket')
  if (found.uid === ownerUid) return
  throw new UntrustedSocket(socket, `it belongs to user ${found.uid}, and QEMU runs as ${ownerUid}`)
}

/** Connects to a pinned socket. Throws the system's error. */
export async function dial(pin: string): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const socket = createConnection(pin)
  socket.once('error', reject).once('connect', () => {
    socket.off('error', reject)
    resolve(socket)
  })
  return promise
}

async function linkIfThere(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}
