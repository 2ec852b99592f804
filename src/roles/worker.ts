import { systemClock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { buildRpcServer, type RpcServer } from '../rpc/server.ts'
import type { RpcTls } from '../rpc/wire.ts'
import { loadFiles, watchFiles } from '../../certs/watch-files.ts'
import { openLocalWorker } from './local-worker.ts'
import { parseListen } from './listen.ts'

/** What a worker process is started with. Files are PEM. */
export interface WorkerRoleOptions {
  node: string
  /** `ADDRESS:PORT`; port 0 takes a free one. */
  listen: string
  state: string
  run: string
  images: string
  tlsCert: string
  tlsKey: string
  /** Who signs the certificates of those who may call. */
  clientCa: string
  /** URIs in the certificates of those who may call. */
  allow: readonly string[]
  hostDisk: readonly string[]
  log: Log
  signal: AbortSignal
}

/** A worker that listens. Closing it leaves its guests running. */
export interface RunningWorker extends AsyncDisposable {
  port: number
}

/** A node of its own, called over mutual TLS. It holds no credential for the API. */
export async function openWorkerRole(options: WorkerRoleOptions): Promise<RunningWorker> {
  await using stack = new AsyncDisposableStack()
  const { log, signal } = options
  const { actions } = stack.use(
    await openLocalWorker({
      nodeName: options.node,
      stateDir: options.state,
      runDir: options.run,
      imagesDir: options.images,
      hostDiskPrefixes: options.hostDisk,
      clock: systemClock,
      log,
      onProgress: (text) => log.info({ node: options.node }, text),
      signal,
    }),
  )
  const files = { cert: options.tlsCert, key: options.tlsKey, ca: options.clientCa }
  const tls = await loadFiles(files)
  const server = stack.use(buildRpcServer({ actions, tls, allowedUris: options.allow, log }))
  const stop = new AbortController()
  stack.defer(() => stop.abort())
  void reloadOnChange(
    server,
    watchFiles(files, tls, stop.signal, (error) => warn(log, error)),
  )
  const { host, port } = parseListen(options.listen)
  const listening = await server.listen(port, host)
  const open = stack.move()
  return { port: listening, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

/** Serves each new pair; the old one goes on where a new one cannot be read. */
async function reloadOnChange(server: RpcServer, changes: AsyncIterable<RpcTls>): Promise<void> {
  for await (const tls of changes) server.reload(tls)
}

function warn(log: Log, error: Error): void {
  log.warn({ err: error }, 'the certificate of this worker cannot be read anew')
}
