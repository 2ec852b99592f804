import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { openCertificateStore, type CertificateStore } from '../../certs/store.ts'
import { writeKubeconfig } from '../../certs/kubeconfig.ts'
import { startControllers } from '../controllers/index.ts'
import type { ControllerParts } from '../controllers/parts.ts'
import { openSchemas } from '../embedded/schemas/open.ts'
import { systemClock, timestamp } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { openEventRecorder } from '../store/event-recorder.ts'
import { openInformer } from '../store/informer.ts'
import { watchAdmission } from '../metrics/admission.ts'
import { watchStore } from '../metrics/store.ts'
import { certificateSource, type CertificateInUse } from '../metrics/certificates.ts'
import { openDataDir, type DataDir } from './data-dir.ts'
import { drainNodes, undrainNodes } from './drain.ts'
import { ownArchitecture } from './architecture.ts'
import { openEmbeddedApi, type EmbeddedApi } from './embedded-api.ts'
import { openNodes, type OpenNodes } from './embedded-nodes.ts'
import { buildEmbeddedServer } from './embedded-server.ts'
import { IMAGE_GC_DEFAULTS, type ImageGcOptions } from './image-gc.ts'
import { isEveryAddress, parseListen, urlOf } from './listen.ts'
import { holdDataDir } from './lock.ts'
import { AUDIT_LOG_DEFAULTS, openAuditLog, QEMU_LOG_MAXSIZE, type AuditLogOptions } from './log.ts'
import { countVms, openRoleMetrics, tellOfLead, tellOfNodes, tellOfWorkers } from './metrics.ts'
import { readNodeNames } from './node-names.ts'
import { KUBEVIRT_VERSION, readVersion } from './version.ts'

/** How embedded mode is run. */
export interface EmbeddedOptions extends Partial<AuditLogOptions> {
  /** Data directory; made where it is missing. */
  data: string
  /** `ADDRESS:PORT`; port 0 takes a free one. */
  listen: string
  /** Worker processes; 0 runs one worker in this process. */
  workers?: number
  /** `full` outlives power loss; `normal` is faster and may lose the last moments then. */
  durability?: 'full' | 'normal'
  /** Names and addresses that clients use besides the one listened on; they go into the serving certificate. */
  hosts?: readonly string[]
  /** Where `hostDisk` volumes may stand. */
  hostDiskPrefixes?: readonly string[]
  /** Bridges of this host that guests may be put on; none where absent. */
  bridges?: readonly string[]
  /** Pages that may open consoles, besides our own, such as `https://console.example.org`. */
  allowedOrigins?: readonly string[]
  /** Whether anybody may read `/metrics`. */
  anonymousMetrics?: boolean
  /** MiB that what QEMU prints about a guest may have; 0 is no limit, 8 where absent. */
  qemuLogMaxsize?: number
  /** How long images stay that no guest has; a week, on a disk that is not full, where absent. */
  imageGc?: ImageGcOptions
  log: Log
  /** Told what is being done, for people. */
  onProgress?: (text: string) => void
  signal: AbortSignal
}

/** A running installation. Closing it leaves the guests running. */
export interface Embedded extends AsyncDisposable {
  url: string
  /** Path of the kubeconfig of an administrator. */
  kubeconfig: string
  dirs: DataDir
  /** Shuts all guests down and waits for it. VMs that are to run start again with the next start. */
  stopGuests(signal: AbortSignal): Promise<void>
}

/** Opens an installation: everything it takes to run guests on this machine, in one process or with workers. */
export async function openEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { log, onProgress, signal } = options
  await using stack = new AsyncDisposableStack()
  const dirs = await openDataDir(options.data)
  const listen = parseListen(options.listen)
  const holder = { pid: process.pid, url: urlOf(listen.host, listen.port), since: timestamp(systemClock) }
  stack.use(await holdDataDir(dirs.root, holder))
  const names = await readNodeNames(dirs.root, Math.max(options.workers ?? 0, 1))
  const certificates = stack.use(await openCertificates(options, dirs, names))
  const schemas = openSchemas()
  const metrics = openRoleMetrics(log)
  const embedded = stack.use(
    await openEmbeddedApi({
      file: dirs.database,
      durability: options.durability ?? 'full',
      shapes: schemas,
      architecture: ownArchitecture(),
      admitted: countVms(metrics),
      judged: watchAdmission(metrics),
      onCommit: watchStore(metrics, dirs.database),
      clock: systemClock,
      log,
    }),
  )
  const nodes = stack.use(
    await openNodes({
      dirs,
      names,
      areProcesses: (options.workers ?? 0) > 0,
      certificates,
      hostDiskPrefixes: options.hostDiskPrefixes ?? [],
      bridges: options.bridges ?? [],
      qemuLogMaxsize: options.qemuLogMaxsize ?? QEMU_LOG_MAXSIZE,
      imageGc: options.imageGc ?? IMAGE_GC_DEFAULTS,
      log,
      onProgress,
      signal,
    }),
  )
  await undrainNodes(embedded.asSystem)
  metrics.add(certificateSource(certificatesOf(certificates)))
  // There is one such process for a data directory.
  tellOfLead(metrics, { isLeading: () => true, isReady: () => true })
  tellOfWorkers(metrics, () => nodes.directory.ready().length === names.length)
  tellOfNodes(metrics, nodes.directory, log)
  const controllerEvents = stack.use(recorder(embedded, 'virtgate-controller', log))
  stack.use(
    await openControllers(embedded, dirs, nodes, certificates, { events: controllerEvents, metrics, log }),
  )
  const events = stack.use(recorder(embedded, 'virtgate-apiserver', log))
  const app = buildEmbeddedServer({
    embedded,
    nodes: nodes.directory,
    events,
    certificates,
    schemas,
    metrics,
    anonymousMetrics: options.anonymousMetrics,
    log,
    audit: openAuditLog(join(dirs.root, 'audit.log'), { ...AUDIT_LOG_DEFAULTS, ...options }),
    allowedOrigins: options.allowedOrigins ?? [],
  })
  stack.defer(() => app.close())
  await app.listen(listen)
  const address = app.server.address()
  const url = urlOf(listen.host, typeof address === 'object' && address ? address.port : listen.port)
  holder.url = url
  await writeAdminKubeconfig(dirs, url, certificates)
  const open = stack.move()
  return {
    url,
    kubeconfig: dirs.kubeconfig,
    dirs,
    stopGuests: (stopSignal) => drainNodes(embedded.asSystem, names, systemClock, stopSignal),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

async function openCertificates(
  { listen, workers = 0, hosts = [], log }: EmbeddedOptions,
  dirs: DataDir,
  names: readonly string[],
): Promise<CertificateStore> {
  const { host } = parseListen(listen)
  const given = isIP(host) && !isEveryAddress(host) ? [host] : []
  return openCertificateStore({
    dir: dirs.pki,
    hosts: [...new Set(['localhost', '127.0.0.1', '::1', hostname(), ...given, ...hosts])],
    workers: workers > 0 ? names : [],
    onError: (error) => log.error({ err: error }, 'certificates could not be renewed'),
  })
}

/** All that an embedded installation shows, and who signs it. */
function certificatesOf(store: CertificateStore): Record<string, CertificateInUse> {
  const now = () => store.current()
  return {
    serving: () => now().serving.cert,
    'serving-ca': () => now().ca,
    admin: () => now().admin.cert,
    'worker-client': () => now().controller.cert,
    'internal-ca': () => now().internalCa,
  }
}

function openControllers(
  { asController, expander, foreignUses }: EmbeddedApi,
  dirs: DataDir,
  nodes: OpenNodes,
  certificates: CertificateStore,
  watchers: Pick<ControllerParts, 'events' | 'metrics' | 'log'>,
): Promise<AsyncDisposable> {
  return startControllers({
    store: asController,
    openInformer,
    nodes: nodes.directory,
    expander,
    foreignUses,
    migrationCertificates: { issue: (uid) => certificates.issueMigration(uid) },
    clock: systemClock,
    ...watchers,
    config: {
      allowEmulation: true,
      ownsNodes: true,
      version: readVersion(),
      kubeVirtVersion: KUBEVIRT_VERSION,
      claimsDir: dirs.volumes,
    },
  })
}

function recorder({ asController }: EmbeddedApi, component: string, log: Log) {
  return openEventRecorder({ store: asController, component, clock: systemClock, log })
}

async function writeAdminKubeconfig(
  { kubeconfig }: DataDir,
  server: string,
  certificates: CertificateStore,
): Promise<void> {
  const { ca, admin } = certificates.current()
  await writeKubeconfig(kubeconfig, {
    server,
    ca,
    clientCert: admin.cert,
    clientKey: admin.key,
    namespace: 'default',
  })
}
