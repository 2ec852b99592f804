import { buildForeignUses } from '../auth/foreign-use.ts'
import { buildReviewAuthorizer } from '../auth/remote/authorizer.ts'
import { buildReviewTokenReader } from '../auth/remote/token-reader.ts'
import { startControllers } from '../controllers/index.ts'
import type { ControllerConfig } from '../controllers/parts.ts'
import { TLS_SECRETS } from '../kinds/installation.ts'
import { KUBEVIRTS } from '../kinds/table.ts'
import type { KubeClient } from '../kube/client.ts'
import { systemClock } from '../lib/clock.ts'
import type { ElectionTimes } from '../lib/leadership.ts'
import type { Log } from '../lib/log.ts'
import { watchAccessReviews } from '../metrics/access-reviews.ts'
import { certificateSource } from '../metrics/certificates.ts'
import type { Metrics } from '../metrics/exposition.ts'
import { watchCalls } from '../metrics/kube-calls.ts'
import { openEventRecorder } from '../store/event-recorder.ts'
import { openInformer } from '../store/informer.ts'
import type { Store } from '../store/store.ts'
import { openLeadingStore } from '../store/leading-store.ts'
import {
  openInstallationCertificates,
  type CertificatePolicy,
  type InstallationCertificates,
} from './certificates/installation.ts'
import { ownArchitecture } from './architecture.ts'
import { buildClusterExpander } from './cluster-expander.ts'
import { openClusterNodes, type WorkerCallOptions } from './cluster-nodes.ts'
import { openCluster, type ClusterOptions } from './cluster.ts'
import { openHealth } from './health.ts'
import { Lead } from './lead.ts'
import { openRoleMetrics, tellOfLead } from './metrics.ts'
import { admitReviewed, openMetricsListener, type MetricsListener } from './metrics-listener.ts'
import { openMigrationCertificates, type MigrationAuthorityFiles } from './migration-certificates.ts'
import { KUBEVIRT_VERSION, readVersion } from './version.ts'
import { openEnrolment, type EnrolmentListener } from './enrolment/listener.ts'
import { prepareTls, type PreparedTls, type SecretAccess, type TlsSource } from './watched-tls.ts'

/** What a controller process is started with. */
export interface ControllerRoleOptions extends ClusterOptions, WorkerCallOptions, MigrationAuthorityFiles {
  /** Whether Node objects and their leases are ours: where no kubelet keeps them. */
  ownNodes: boolean
  /** Guests of a node that was not heard of for so long are started elsewhere; never where absent. */
  failoverAfterMs?: number | undefined
  /** When the leadership changes hands. */
  election: ElectionTimes
  /** `ADDRESS:PORT` of `/livez` and `/readyz`; not served where absent. */
  healthListen?: string
  /** `ADDRESS:PORT` of `/metrics`; not served where absent. Takes `metricsTls`. */
  metricsListen?: string
  /** The pair shown there; what it believes is not looked at. */
  metricsTls?: TlsSource
  /** Whether anybody may read them. */
  anonymousMetrics?: boolean
  /** How the certificates of the installation are kept in Secrets; absent where somebody else makes them. */
  certificates?: CertificatePolicy
  /** `ADDRESS:PORT` at which workers get their certificates; they do not where absent. Takes `certificates`. */
  enrollListen?: string
  log: Log
  signal: AbortSignal
}

/** A controller process: at work while it leads, else ready to take over. Closing it leaves the guests running. */
export interface RunningController extends AsyncDisposable {
  /** The API whose objects it reconciles. */
  server: string
  /** Where its health is served, if it is. */
  healthUrl?: string
  /** Where workers enrol, if they do. */
  enrolUrl?: string
  /** Where its metrics are served, if they are. */
  metricsUrl?: string
}

/** Reconciles the VMs of a Kubernetes API with the guests on the workers, whenever this process leads. */
export async function openControllerRole(options: ControllerRoleOptions): Promise<RunningController> {
  const { installNamespace: namespace, healthListen, log } = options
  await using stack = new AsyncDisposableStack()
  // What can be wrong here is found before anybody else is asked.
  const prepared = stack.use(await prepareTls(options.tls, log))
  const metricsTls = options.metricsTls && stack.use(await prepareTls(options.metricsTls, log))
  const metrics = openRoleMetrics(log)
  const { client, store } = stack.use(await openCluster(options, watchCalls(metrics)))
  const access = { store, namespace, clock: systemClock, signal: options.signal }
  // Every controller keeps them, whoever leads: each write is refused where somebody else was quicker.
  const certificates = options.certificates
    ? stack.use(openInstallationCertificates({ ...access, ...options.certificates, log }))
    : undefined
  const tls = await prepared.open(access)
  const lead = new Lead({ store, namespace, times: options.election, log })
  const nodes = stack.use(await openClusterNodes({ ...options, ...access, tls, leadership: lead }))
  certificates?.reach((node) => nodes.directory.find(node) !== undefined)
  const enrolment = stack.use(await openWorkerEnrolment(options, { ...access, client, certificates }))
  const common = { store: openLeadingStore(store, lead), clock: systemClock, log }
  const events = stack.use(openEventRecorder({ ...common, component: 'virtgate-controller' }))
  const migrationCertificates = openMigrationCertificates(
    options,
    certificates && (() => certificates.signer()),
  )
  const parts = { ...common, openInformer, nodes: nodes.directory, events, migrationCertificates }
  stack.use(lead)
  const config = buildConfig(options)
  const expander = buildClusterExpander(
    store,
    namespace,
    async () => (await store.list(KUBEVIRTS, { namespace })).items,
  )
  const foreignUses = buildForeignUses(
    buildReviewAuthorizer(client, systemClock, { watch: watchAccessReviews(metrics, 'SubjectAccessReview') }),
  )
  lead.start((signal) => startControllers({ ...parts, expander, foreignUses, config, metrics, signal }))
  tellOfLead(metrics, { isLeading: () => lead.epoch() !== undefined, isReady: () => lead.isReady() })
  metrics.add(
    certificateSource({ 'worker-client': () => tls.current().cert, 'internal-ca': () => tls.current().ca }),
  )
  const served = metricsTls && stack.use(await serveMetrics(options, metrics, client, metricsTls, access))
  const health =
    healthListen === undefined ? undefined : stack.use(await openHealth(healthListen, [lead.check()], log))
  const open = stack.move()
  return {
    server: client.config.server,
    ...(health && { healthUrl: health.url }),
    ...(enrolment && { enrolUrl: enrolment.url }),
    ...(served && { metricsUrl: served.url }),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

/** Serves the metrics to whoever shows a token of somebody who may `get` them. */
async function serveMetrics(
  { metricsListen, anonymousMetrics, log }: ControllerRoleOptions,
  metrics: Metrics,
  client: KubeClient,
  prepared: PreparedTls,
  access: Omit<SecretAccess, 'log'>,
): Promise<MetricsListener> {
  if (metricsListen === undefined) throw new RangeError('--metrics-cert takes --metrics-listen')
  const tls = await prepared.open(access)
  metrics.add(certificateSource({ metrics: () => tls.current().cert }))
  const admit = anonymousMetrics ? async () => {} : admitReviewed(client, metrics)
  return openMetricsListener(metricsListen, { metrics, tls, admit, log })
}

interface EnrolmentAccess extends Omit<SecretAccess, 'log'> {
  store: Store
  client: KubeClient
  certificates: InstallationCertificates | undefined
}

/** Every controller enrols workers, whoever leads. */
async function openWorkerEnrolment(
  { enrollListen, certificates: kept, log }: ControllerRoleOptions,
  { client, certificates, ...access }: EnrolmentAccess,
): Promise<EnrolmentListener | undefined> {
  if (enrollListen === undefined) return undefined
  if (!kept || !certificates) {
    throw new RangeError('--enroll-listen takes the certificates of the installation: leave --tls-cert out')
  }
  await using stack = new AsyncDisposableStack()
  const tls = stack.use(await prepareTls({ secret: TLS_SECRETS.enrolment }, log))
  const listener = stack.use(
    await openEnrolment(enrollListen, {
      ...access,
      tls: await tls.open(access),
      signer: () => certificates.signer(),
      leafMs: kept.policy.leafMs,
      tokens: buildReviewTokenReader(client, access.clock),
      log,
    }),
  )
  const open = stack.move()
  return { url: listener.url, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

function buildConfig({
  ownNodes,
  installNamespace,
  failoverAfterMs,
}: ControllerRoleOptions): ControllerConfig {
  return {
    // The KubeVirt object's `useEmulation` allows it.
    allowEmulation: false,
    ownsNodes: ownNodes,
    workerNamespace: installNamespace,
    ...(failoverAfterMs !== undefined && { failoverAfterMs }),
    keepsQuotas: true,
    version: readVersion(),
    kubeVirtVersion: KUBEVIRT_VERSION,
    architecture: ownArchitecture(),
  }
}
