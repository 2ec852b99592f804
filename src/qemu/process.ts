import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { access, constants, open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export { lastQemuError } from './log.ts'

/**
 * One process, for good: numbers of processes are used again, the same number with the same start time within
 * one boot is not.
 */
export interface ProcessId {
  pid: number
  /** Clock ticks between boot and the start of the process. Source: proc(5), field 22 of `/proc/PID/stat`. */
  startTicks: string
  /** Source: random(4), `/proc/sys/kernel/random/boot_id`. */
  bootId: string
}

/** A QEMU that was started. */
export interface QemuProcess extends ProcessId {
  /** Bytes the log file held before; what QEMU itself says stands behind them. */
  logOffset: number
}

/** How QEMU is started. */
export interface SpawnOptions {
  /** Absolute path. */
  binary: string
  argv: string[]
  /** Gets what QEMU prints; appended to. */
  logFile: string
  /** Run as this user, without supplementary groups. Needs root. */
  uid?: number
  gid?: number
  /** `/` where absent. */
  cwd?: string
  /** Open files for QEMU: the first is its descriptor 3. */
  fds?: readonly number[]
}

/** Sockets are for QEMU's own user alone, and no core dump spills guest memory. */
const BEFORE_EXEC = 'umask 077; ulimit -c 0; exec "$0" "$@"'
const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' }
const POLL_MS = 25

/**
 * Starts QEMU so that it outlives us: a session of its own, no pipe to us, output to a file.
 *
 * Answers once the process exists, not once QEMU is ready: connect to its monitor for that. Throws the
 * system's error where the binary or the log file cannot be used.
 */
export async function spawnQemu(options: SpawnOptions): Promise<QemuProcess> {
  const { binary, argv, logFile, uid, gid, cwd = '/', fds = [] } = options
  await access(binary, constants.X_OK)
  await using log = await open(logFile, 'a', 0o640)
  const { size: logOffset } = await log.stat()
  const child = spawn('/bin/sh', ['-c', BEFORE_EXEC, binary, ...argv], {
    detached: true,
    cwd,
    env: ENVIRONMENT,
    stdio: ['ignore', log.fd, log.fd, ...fds],
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.once('spawn', resolve).once('error', reject)
  // Read in the same tick: even a child that died at once is still there to be read, as nobody has waited for it.
  const id = child.pid === undefined ? undefined : identify(child.pid)
  await promise
  child.unref()
  if (!id) throw new Error(`cannot read /proc/${child.pid}/stat of the QEMU just started`)
  return { ...id, logOffset }
}

/** The identity of the process that has this number now; `undefined` where none has. */
export function identify(pid: number): ProcessId | undefined {
  const stat = readStat(pid)
  return stat && { pid, startTicks: stat.startTicks, bootId: readBootId() }
}

/** Whether that very process still runs. A zombie does not. */
export function isAlive({ pid, startTicks, bootId }: ProcessId): boolean {
  const stat = readStat(pid)
  if (!stat || stat.state === 'Z' || stat.state === 'X') return false
  return stat.startTicks === startTicks && bootId === readBootId()
}

/** Sends a signal, after making sure that it still is the same process. Answers whether it was sent. */
export function signalProcess(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false
  try {
    return process.kill(id.pid, signal)
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return false
    throw error
  }
}

/**
 * Resolves once the process is gone. It need not be a child of ours, so nobody tells us: we look.
 *
 * Rejects with the reason of `signal` when that aborts first.
 */
export async function waitForExit(id: ProcessId, signal?: AbortSignal): Promise<void> {
  while (isAlive(id)) {
    signal?.throwIfAborted()
    await sleep(POLL_MS, undefined, signal && { signal }).catch(() => signal?.throwIfAborted())
  }
}

interface Stat {
  state: string
  startTicks: string
}

function readStat(pid: number): Stat | undefined {
  const text = readIfThere(`/proc/${pid}/stat`)
  // The second field is the name, which may hold blanks and parentheses.
  const [state, ...rest] = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? []
  // Field 22; `state` is field 3.
  const startTicks = rest[18]
  return state && startTicks ? { state, startTicks } : undefined
}

function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    // ESRCH: the process went between the opening and the reading.
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined
    throw error
  }
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}
