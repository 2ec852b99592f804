import { createHash } from 'node:crypto'
import { mkdir, realpath, stat, symlink, unlink } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** Where the parts of one embedded installation stand. All absolute. */
export interface DataDir {
  root: string
  database: string
  pki: string
  kubeconfig: string
  /** Guests' disks, state and the image cache: reachable by QEMU's own user. */
  guests: string
  /** The store of container images, shared by all workers. */
  images: string
  /** Claims of guests, as `NAMESPACE/NAME`. */
  volumes: string
  /** Sockets; emptied by a reboot. Short, because socket paths end at 107 bytes. */
  run: string
}

/** The data directory where the user names none: `$XDG_DATA_HOME/virtgate`; for root `/var/lib/virtgate`. */
export function defaultDataDir(env: NodeJS.ProcessEnv = process.env): string {
  if (env.XDG_DATA_HOME) return join(env.XDG_DATA_HOME, 'virtgate')
  return isRoot() ? '/var/lib/virtgate' : join(homedir(), '.local', 'share', 'virtgate')
}

/** Makes the data directory where it is missing and says where its parts stand. */
export async function openDataDir(path: string, env: NodeJS.ProcessEnv = process.env): Promise<DataDir> {
  // Not private as a whole when root: QEMU's own user has to pass through. What is secret below it is 0600.
  await mkdir(path, { recursive: true, mode: isRoot() ? 0o755 : 0o700 })
  const root = await realpath(path)
  const guests = await openGuestsDir(root)
  return {
    root,
    database: join(root, 'virtgate.db'),
    pki: join(root, 'pki'),
    kubeconfig: join(root, 'kubeconfig'),
    guests,
    images: join(guests, 'images'),
    volumes: join(guests, 'volumes'),
    run: await openRunDir(root, env),
  }
}

/** A short name for the installation, the same at each start. */
export function installationId(root: string): string {
  return createHash('sha256').update(root).digest('hex').slice(0, 8)
}

/**
 * As root, QEMU runs as an unprivileged user, which must be able to reach its disks. Where a parent of the data
 * directory is closed to others (a checkout below `/root`, say), they stand in `/var/lib/virtgate` and the data
 * directory has a link to them.
 */
async function openGuestsDir(root: string): Promise<string> {
  const own = join(root, 'guests')
  if (!isRoot() || (await isOpenToOthers(root))) {
    await mkdir(own, { recursive: true })
    return realpath(own)
  }
  const outside = join('/var/lib/virtgate', installationId(root), 'guests')
  await mkdir(outside, { recursive: true })
  await unlink(own).catch(ignoreMissing)
  await symlink(outside, own)
  return outside
}

async function openRunDir(root: string, env: NodeJS.ProcessEnv): Promise<string> {
  const parent = isRoot()
    ? '/run/virtgate'
    : join(env.XDG_RUNTIME_DIR ?? join(tmpdir(), `virtgate-${process.getuid?.()}`), 'virtgate')
  const run = join(parent, installationId(root))
  await mkdir(run, { recursive: true, mode: isRoot() ? 0o711 : 0o700 })
  return run
}

async function isOpenToOthers(path: string): Promise<boolean> {
  for (let folder = path; ; folder = dirname(folder)) {
    const { mode } = await stat(folder)
    if ((mode & 0o001) === 0) return false
    if (folder === dirname(folder)) return true
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}
