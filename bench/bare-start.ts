import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, cp, mkdtemp, readFile, readlink, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

/** A QEMU as it was started, to be started again without us. */
export interface Recorded extends AsyncDisposable {
  /** Starts it once and ends it; answers the milliseconds until its monitor took a command. */
  start(): Promise<number>
}

const DEADLINE_MS = 30_000

/**
 * Takes down the command line of a running QEMU, with sockets, logs and state moved to folders of its own: what it
 * reads and writes is the same, and so is its user.
 */
export async function recordQemu(pid: number): Promise<Recorded> {
  const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').slice(1, -1)
  const binary = await readlink(`/proc/${pid}/exe`)
  const user = await userOf(pid)
  const scratch = await mkdtemp('/tmp/bare-')
  let rest = argv
  for (const [index, folder] of foldersOf(argv).entries()) {
    const copy = join(scratch, String(index))
    // Sockets cannot be copied and are made by QEMU.
    await cp(folder, copy, { recursive: true, filter: (path) => !/\.(sock|pid)$/.test(path) })
    await chown(copy, user.uid, user.gid)
    rest = rest.map((argument) => argument.replaceAll(folder, copy))
  }
  await chmod(scratch, 0o711)
  const socket = socketIn(rest)
  return {
    start: () => startOnce(binary, rest, user, socket),
    [Symbol.asyncDispose]: () => rm(scratch, { recursive: true }),
  }
}

async function startOnce(
  binary: string,
  argv: string[],
  user: { uid: number; gid: number },
  socket: string,
): Promise<number> {
  await rm(socket, { force: true })
  const startedAt = performance.now()
  const child = spawn(binary, argv, { ...user, cwd: '/', stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = once(child, 'exit')
  try {
    const died = ended.then(() => Promise.reject(new Error('the bare QEMU ended before it was ready')))
    await Promise.race([awaitMonitor(socket), died])
    died.catch(() => {})
    return performance.now() - startedAt
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}

/** Waits until the monitor has greeted us and answered the first command. Source: QEMU, `docs/interop/qmp-spec`. */
async function awaitMonitor(path: string): Promise<void> {
  const monitor = await dial(path)
  monitor.write('{"execute":"qmp_capabilities"}\n')
  for await (const line of createInterface({ input: monitor })) {
    if (line.includes('"return"')) break
  }
  monitor.destroy()
}

/** The socket appears while QEMU starts. */
async function dial(path: string): Promise<Socket> {
  for (const deadline = performance.now() + DEADLINE_MS; ; await sleep(1)) {
    const socket = connect(path)
    try {
      await once(socket, 'connect')
      return socket
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
  }
}

/** Folders of the guest alone: that of its monitor's socket and that of its serial log. */
function foldersOf(argv: string[]): string[] {
  const log = /logfile=([^,]+)/.exec(argv.join('\n'))?.[1]
  return [dirname(socketIn(argv)), ...(log === undefined ? [] : [dirname(log)])]
}

function socketIn(argv: string[]): string {
  const path = argv.map((argument) => /^socket,id=mon0,path=([^,]+)/.exec(argument)?.[1]).find(Boolean)
  if (path === undefined) throw new Error('this QEMU has no monitor called mon0')
  return path
}

async function userOf(pid: number): Promise<{ uid: number; gid: number }> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8')
  const field = (name: string) => Number(new RegExp(`^${name}:\\t(\\d+)`, 'm').exec(text)?.[1])
  return { uid: field('Uid'), gid: field('Gid') }
}
