import { join } from 'node:path'
import { badRequest } from '../../lib/errors.ts'
import type { GuestPaths } from '../../qemu/plan.ts'

/** The two directories of a worker. Absolute. */
export interface WorkerDirs {
  /** Survives a reboot: state, logs and disks of guests. */
  stateDir: string
  /** Emptied by a reboot: sockets, and images made from secrets. In memory where the system has it so. */
  runDir: string
}

/** Where the parts of one guest stand. */
export interface GuestFiles extends GuestPaths {
  /** Our own record of the guest; QEMU's user can neither read nor replace it. */
  record: string
  /** What QEMU says. */
  log: string
  /** What the guest has said at its serial port. */
  serialLog: string
  /** Disks that live as long as the guest. */
  disks: string
  /** Images made from Secrets, ConfigMaps and cloud-init data: like the sockets, gone with the next boot. */
  generated: string
  /** For links to QEMU's sockets: a directory that QEMU's user cannot reach. */
  pinDir: string
}

/** The longest path a unix socket may have, without the byte that ends it. */
const SOCKET_PATH_LIMIT = 107
const UID = /^[A-Za-z0-9][A-Za-z0-9-]{0,35}$/
const LONGEST_SOCKET = 'qmp-aux.sock'
const LONGEST_UID = 36

/** The worker's folder for links to sockets, below `runDir`. */
export function pinDir({ runDir }: WorkerDirs): string {
  return join(runDir, 'pin')
}

/** What a QEMU prints stands there, in the folder of its guest. */
export const QEMU_LOG = 'qemu.log'

/** The folder of images made from secrets, of all guests. */
export function generatedDir({ runDir }: WorkerDirs): string {
  return join(runDir, 'generated')
}

/** Throws where socket paths below this directory would be longer than the system allows. */
export function checkRunDir({ runDir }: WorkerDirs): void {
  const longest = Buffer.byteLength(runDir) + 1 + LONGEST_UID + 1 + LONGEST_SOCKET.length
  if (longest <= SOCKET_PATH_LIMIT) return
  const excess = longest - SOCKET_PATH_LIMIT
  throw new RangeError(
    `the run directory ${runDir} is ${excess} characters too long: a socket's path has at most ${SOCKET_PATH_LIMIT}. Choose a shorter one, such as /run/virtgate`,
  )
}

/** Paths of the guest with that UID. Throws 400 where the UID could lead elsewhere. */
export function guestFiles(dirs: WorkerDirs, uid: string): GuestFiles {
  if (!UID.test(uid)) throw badRequest(`${JSON.stringify(uid)} is no UID of a guest`)
  const stateDir = join(dirs.stateDir, uid)
  const runDir = join(dirs.runDir, uid)
  return {
    stateDir,
    runDir,
    record: join(stateDir, 'state.json'),
    log: join(stateDir, QEMU_LOG),
    serialLog: join(stateDir, 'serial0.log'),
    disks: join(stateDir, 'disks'),
    generated: join(dirs.runDir, 'generated', uid),
    pinDir: pinDir(dirs),
  }
}
