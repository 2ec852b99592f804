import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { openKubeClient, type KubeClient } from '../../src/kube/client.ts'
import { loadKubeconfig } from '../../src/kube/config.ts'
import { importGuest } from '../../src/guest/guest-image.ts'
import { openDataDir } from '../../src/roles/data-dir.ts'
import { openImageStore } from '../../src/worker/images/store.ts'
import { guestAssets } from './guest.ts'

const MAIN = new URL('../../src/virtgate.mjs', import.meta.url).pathname

/** An embedded server that runs as a process of its own. */
export interface TestServer {
  data: string
  kubeconfig: string
  process: ChildProcess
  client: KubeClient
  /** What it has printed so far. */
  output(): string
  /** Ends the process as it is asked to end: VMs go on running. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
  /** Starts it again on the same data. */
  again(): Promise<TestServer>
  /** Stops it, ends all guests, removes the data. */
  [Symbol.asyncDispose](): Promise<void>
}

/** A data directory that QEMU's own user can reach, with the image of the small guest in its store. */
async function makeDataDir(): Promise<string> {
  const data = await mkdtemp('/tmp/virtgate-e2e-')
  await chmod(data, 0o755)
  const { images } = await openDataDir(data)
  await using store = await openImageStore({ dir: images, log: { info() {}, warn() {} } })
  await importGuest(store, await guestAssets())
  return data
}

/** Starts `virtgate up` and waits until it serves. */
export async function startServer(
  options: { data?: string; args?: string[]; env?: NodeJS.ProcessEnv } = {},
): Promise<TestServer> {
  const data = options.data ?? (await makeDataDir())
  const args = ['up', '--data', data, '--listen', '127.0.0.1:0', ...(options.args ?? [])]
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  })
  let output = ''
  const note = (line: string) => {
    output += `${line}\n`
  }
  createInterface({ input: child.stderr }).on('line', note)
  const exited = once(child, 'exit')
  const ready = Promise.withResolvers<void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    note(line)
    if (line.includes('serving')) ready.resolve()
  })
  const failed = exited.then(([code]) => {
    throw new Error(`virtgate up ended with ${code} before it served:\n${output}`)
  })
  await Promise.race([ready.promise, failed])
  failed.catch(() => {})
  const kubeconfig = join(data, 'kubeconfig')
  const client = openKubeClient(await loadKubeconfig({ path: kubeconfig }))
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await exited
    return child.exitCode
  }
  return {
    data,
    kubeconfig,
    process: child,
    client,
    output: () => output,
    stop,
    async again() {
      await client[Symbol.asyncDispose]()
      return startServer({ ...options, data })
    },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]()
      await stop('SIGTERM')
      killGuests(data)
      await rm(data, { recursive: true, force: true })
    },
  }
}

/** Pids of the QEMU processes whose command line names this data directory. */
export function guestPids(data: string): number[] {
  const { stdout } = spawnSync('pgrep', ['-f', `^[^ ]*qemu-system[^ ]* .*${data}`], { encoding: 'utf8' })
  return stdout.split('\n').filter(Boolean).map(Number)
}

function killGuests(data: string): void {
  for (const pid of guestPids(data)) process.kill(pid, 'SIGKILL')
}

/** Runs stock kubectl against the server. */
export function kubectl(server: Pick<TestServer, 'kubeconfig'>, args: string[], input?: string) {
  const { status, stdout, stderr } = spawnSync('kubectl', args, {
    encoding: 'utf8',
    env: { ...process.env, KUBECONFIG: server.kubeconfig, HOME: '/tmp' },
    ...(input !== undefined && { input }),
  })
  return { status, stdout, stderr }
}

/** Waits until `check` gives something, looking again every 100 ms. */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  check: () => Promise<T | undefined | false>,
): Promise<T> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const found = await check()
    if (found) return found
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
