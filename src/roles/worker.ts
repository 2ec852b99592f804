import { isIP } from 'node:net'
import { join } from 'node:path'
import type { LoadedFiles, WatchedFiles } from '../../certs/watch-files.ts'
import { systemClock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { certificateSource } from '../metrics/certificates.ts'
import type { Actions } from '../rpc/actions.ts'
import { buildRpcServer } from '../rpc/server.ts'
import {
  openWorkerIdentity,
  type WorkerIdentity,
  type WorkerIdentityOptions,
} from './enrolment/worker-identity.ts'
import { type ImageGcOptions, imageGcOf } from './image-gc.ts'
import { parseAdvertised, type AdvertisedAddress } from './advertise.ts'
import { isEveryAddress, parseListen } from './listen.ts'
import { openRoleMetrics, tellOfWorkers } from './metrics.ts'
import { admitMonitors, openMetricsListener, type MetricsListener } from './metrics-listener.ts'
import { parseMigrationNetworks } from './migration-networks.ts'
import { openLocalWorker } from './local-worker.ts'
import { openWatchedTls, type Open } from './watched-tls.ts'

const MIB = 1024 * 1024

/** What a worker process is started with. Files are PEM. */
export interface WorkerRoleOptions extends ImageGcOptions {
  node: string
  /** `ADDRESS:PORT`; port 0 takes a free one. */
  listen: string
  state: string
  run: string
  images: string
  /** Where the pair comes from, and who signs the certificates of those who may call. */
  tls: WatchedFiles | EnrolmentOptions
  /** `ADDRESS:PORT` or `ADDRESS` at which controllers and API servers are told to call: see `parseAdvertised`. */
  advertise?: string
  /** URIs in the certificates of those who may call. */
  allow: readonly string[]
  hostDisk: readonly string[]
  /** Bridges of this host that guests may be put on. */
  bridge: readonly string[]
  /** Where claims stand, as `NAMESPACE/NAME`: mounted or kept there by somebody else. */
  claims?: string
  backupDir: readonly string[]
  /** Without a word of a leading controller for so long, guests that may be started elsewhere are stopped; never where 0. */
  fenceAfter: number
  /** IP address at which guests from other nodes arrive. */
  migrationAddress?: string
  /** MiB that what QEMU prints about a guest may have; 0 is no limit. */
  qemuLogMaxsize: number
  /** `NAME=IP`: the same for migrations that are bound to a network of that name. */
  migrationNetwork: readonly string[]
  /** `ADDRESS:PORT` of `/metrics`; not served where absent. */
  metricsListen?: string
  /** Whether anybody may read them; else who has a certificate of the role `monitor`. */
  anonymousMetrics?: boolean
  log: Log
  signal: AbortSignal
}

/** How a worker enrols with a controller. */
export type EnrolmentOptions = Pick<WorkerIdentityOptions, 'controller' | 'controllerCa' | 'token'>

/** A worker that listens. Closing it leaves its guests running. */
export interface RunningWorker extends AsyncDisposable {
  port: number
  /** Where its metrics are served, if they are. */
  metricsUrl?: string
}

/** A node of its own, called over mutual TLS. It holds no credential for the API. */
export async function openWorkerRole(options: WorkerRoleOptions): Promise<RunningWorker> {
  await using stack = new AsyncDisposableStack()
  const { log, signal } = options
  // What can be wrong here is found before anything is opened.
  const advertised = options.advertise === undefined ? undefined : parseAdvertised(options.advertise)
  const migrationAddress = migrationAddressOf(options)
  if (migrationAddress === undefined) {
    log.warn(
      { listen: options.listen },
      'no guest can arrive from another node: name the address for that with --migration-address',
    )
  }
  const { actions, fence } = stack.use(
    await openLocalWorker({
      nodeName: options.node,
      stateDir: options.state,
      runDir: options.run,
      imagesDir: options.images,
      hostDiskPrefixes: options.hostDisk,
      bridges: options.bridge,
      claimsDir: options.claims,
      backupDirs: options.backupDir.length > 0 ? options.backupDir : undefined,
      qemuLogBytes: options.qemuLogMaxsize * MIB,
      imageGc: imageGcOf(options),
      fenceAfterSeconds: options.fenceAfter,
      migrationAddress,
      migrationNetworks: parseMigrationNetworks(options.migrationNetwork),
      clock: systemClock,
      log,
      onProgress: (text) => log.info({ node: options.node }, text),
      signal,
    }),
  )
  const tls = stack.use(await openTls(options))
  const server = stack.use(
    buildRpcServer({ actions, fence, tls: tls.current(), allowedUris: options.allow, log }),
  )
  tls.onChange((loaded) => server.reload(loaded))
  const metrics =
    options.metricsListen && stack.use(await serveMetrics(options.metricsListen, options, actions, tls))
  const { host, port } = parseListen(options.listen)
  const listening = await server.listen(port, host)
  tls.announce?.(announcedAddress(advertised, host, listening))
  const open = stack.move()
  return {
    port: listening,
    ...(metrics && { metricsUrl: metrics.url }),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

async function serveMetrics(
  listen: string,
  { anonymousMetrics, log }: WorkerRoleOptions,
  actions: Actions,
  tls: Open<LoadedFiles>,
): Promise<MetricsListener> {
  const metrics = openRoleMetrics(log)
  tellOfWorkers(metrics, () => true)
  metrics.add({ source: 'guests', collect: (signal) => actions.metrics(signal) })
  metrics.add(certificateSource({ worker: () => tls.current().cert, 'internal-ca': () => tls.current().ca }))
  const admit = anonymousMetrics ? async () => {} : admitMonitors(() => tls.current().ca)
  return openMetricsListener(listen, { metrics, tls, admit, log })
}

/** A pair from files is known to controllers by their own options. */
function openTls(
  options: WorkerRoleOptions,
): Promise<Open<LoadedFiles> & Partial<Pick<WorkerIdentity, 'announce'>>> {
  const { tls, node, state, log, signal } = options
  if (!('controller' in tls)) return openWatchedTls(tls, log)
  return openWorkerIdentity({ ...tls, node, dir: join(state, 'identity'), clock: systemClock, log, signal })
}

/** What is said of where it listens: what the options say, or else where it does, unless that is every address. */
function announcedAddress(advertised: AdvertisedAddress | undefined, host: string, listening: number) {
  if (advertised) return { host: advertised.host, port: advertised.port || listening }
  return { host: isEveryAddress(host) ? undefined : host, port: listening }
}

/** Where it listens, unless that is every address, or one that other nodes cannot reach. */
function migrationAddressOf({ migrationAddress, listen }: WorkerRoleOptions): string | undefined {
  const { host } = parseListen(listen)
  const isOwn = isIP(host) !== 0 && !isEveryAddress(host) && host !== '::1' && !host.startsWith('127.')
  return migrationAddress ?? (isOwn ? host : undefined)
}
