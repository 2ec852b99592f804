import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { roleUri } from '../../certs/roles.ts'
import type { CertificateStore } from '../../certs/store.ts'
import { systemClock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { connectInProcess } from '../rpc/in-process.ts'
import { NodeDirectory } from '../rpc/nodes.ts'
import type { DataDir } from './data-dir.ts'
import { type ImageGcOptions, imageGcOf } from './image-gc.ts'
import { keepWorkerProcess } from './worker-process.ts'

const MIB = 1024 * 1024
/** There is one such process for a data directory, which holds it: it leads from first to last. */
const SOLE_LEADER = { epoch: () => 1 }

/** The nodes of an embedded installation. */
export interface NodesOptions {
  dirs: DataDir
  names: readonly string[]
  /** Whether each is a process of its own. */
  areProcesses: boolean
  certificates: CertificateStore
  hostDiskPrefixes: readonly string[]
  bridges: readonly string[]
  /** MiB that what QEMU prints about a guest may have; 0 is no limit. */
  qemuLogMaxsize: number
  /** How long images stay that no guest has. */
  imageGc: ImageGcOptions
  log: Log
  onProgress?: ((text: string) => void) | undefined
  signal: AbortSignal
}

/** The nodes, ready for guests. Closing it leaves the guests running. */
export interface OpenNodes extends AsyncDisposable {
  directory: NodeDirectory
}

/** Opens the workers, in this process or in processes of their own, and enrols them. */
export async function openNodes(options: NodesOptions): Promise<OpenNodes> {
  const { names, areProcesses, log } = options
  await using stack = new AsyncDisposableStack()
  const directory = stack.use(new NodeDirectory(log))
  await warnOfOrphans(options)
  for (const [index, name] of names.entries()) {
    const node = { ...options, name, directory, ...(await makeFolders(options.dirs, name, index)) }
    stack.use(areProcesses ? await openProcess(node) : await openHere(node))
  }
  const open = stack.move()
  return { directory, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

interface NodeOptions extends NodesOptions {
  name: string
  directory: NodeDirectory
  stateDir: string
  runDir: string
}

async function openHere(options: NodeOptions): Promise<AsyncDisposable> {
  const { name, directory, log } = options
  const { openLocalWorker } = await import('./local-worker.ts')
  const worker = await openLocalWorker({
    ...options,
    nodeName: name,
    imagesDir: options.dirs.images,
    claimsDir: options.dirs.volumes,
    qemuLogBytes: options.qemuLogMaxsize * MIB,
    imageGc: imageGcOf(options.imageGc),
    clock: systemClock,
  })
  await directory.register(name, connectInProcess(worker.actions, log))
  return worker
}

async function openProcess(options: NodeOptions): Promise<AsyncDisposable> {
  const { name, directory, certificates, log, stateDir, runDir, dirs, onProgress } = options
  const files = certificates.files(`worker-${name}`)
  const args = [
    '--listen=127.0.0.1:0',
    // One machine: there is nowhere else to start a guest.
    '--fence-after=0',
    `--state=${stateDir}`,
    `--run=${runDir}`,
    `--images=${dirs.images}`,
    `--claims=${dirs.volumes}`,
    `--tls-cert=${files.cert}`,
    `--tls-key=${files.key}`,
    `--client-ca=${files.ca}`,
    `--qemu-log-maxsize=${options.qemuLogMaxsize}`,
    `--image-gc-high-threshold=${options.imageGc.imageGcHighThreshold}`,
    `--image-maximum-gc-age=${options.imageGc.imageMaximumGcAge}ms`,
    ...options.hostDiskPrefixes.flatMap((prefix) => ['--host-disk', prefix]),
    ...options.bridges.flatMap((bridge) => ['--bridge', bridge]),
  ]
  let connection: AsyncDisposable | undefined
  const worker = await keepWorkerProcess({
    node: name,
    args,
    clock: systemClock,
    log,
    async onReady(port) {
      const { internalCa, controller } = certificates.current()
      const { connectNode } = await import('../rpc/client.ts')
      const client = connectNode({
        address: '127.0.0.1',
        port,
        tls: { ...controller, ca: internalCa },
        serverUri: roleUri({ role: 'worker', node: name }),
        leadership: SOLE_LEADER,
        log,
      })
      connection = client
      await directory.register(name, client)
      onProgress?.(`worker ${name} listens on port ${port}`)
    },
    async onExit() {
      directory.unregister(name)
      await connection?.[Symbol.asyncDispose]()
      connection = undefined
    },
  })
  return worker
}

/** State of a node by its name; its sockets by its number, because their paths have to be short. */
async function makeFolders(dirs: DataDir, name: string, index: number) {
  const stateDir = join(dirs.guests, 'nodes', name)
  const runDir = join(dirs.run, `w${index}`)
  await mkdir(stateDir, { recursive: true })
  await mkdir(runDir, { recursive: true, mode: 0o711 })
  return { stateDir, runDir }
}

/** Guests of nodes that are not opened this time keep running, and nobody tends them. */
async function warnOfOrphans({ dirs, names, log, onProgress }: NodesOptions): Promise<void> {
  const folder = join(dirs.guests, 'nodes')
  await mkdir(folder, { recursive: true })
  const orphans = (await readdir(folder)).filter((name) => !names.includes(name))
  if (orphans.length === 0) return
  log.warn({ nodes: orphans }, 'nodes of an earlier start are not opened')
  onProgress?.(
    `not opened: ${orphans.join(', ')}, used by an earlier start with more --workers. Their guests are not tended.`,
  )
}
