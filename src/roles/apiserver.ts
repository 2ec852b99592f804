import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import type { FastifyInstance } from 'fastify'
import type { Authenticator, Authorizer } from '../auth/access.ts'
import { unionAuthenticator } from '../auth/authenticate.ts'
import { buildCertificateAuthenticator } from '../auth/client-certificate.ts'
import { buildForeignUses } from '../auth/foreign-use.ts'
import { buildFrontProxy } from '../auth/front-proxy/authenticator.ts'
import { openTrustCache, type TrustSource } from '../auth/front-proxy/trust-cache.ts'
import { buildReviewAuthorizer } from '../auth/remote/authorizer.ts'
import { buildReviewTokenReader } from '../auth/remote/token-reader.ts'
import { buildTokenAuthenticator } from '../auth/service-account-tokens.ts'
import { registerAggregatedRoot } from '../http/aggregated-root.ts'
import type { AuditLog } from '../http/audit.ts'
import { buildProfiler } from '../http/profiler.ts'
import { registerReadiness } from '../http/readiness.ts'
import { buildServer } from '../http/server.ts'
import { reloadTls } from '../http/tls.ts'
import type { KubeClient } from '../kube/client.ts'
import { systemClock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { openEventRecorder } from '../store/event-recorder.ts'
import { openInformer } from '../store/informer.ts'
import { watchAccessReviews } from '../metrics/access-reviews.ts'
import { watchAdmission } from '../metrics/admission.ts'
import { certificateSource } from '../metrics/certificates.ts'
import type { Metrics } from '../metrics/exposition.ts'
import { watchCalls } from '../metrics/kube-calls.ts'
import { watchServer } from '../metrics/server.ts'
import type { Parts } from '../subresources/subresource.ts'
import { subresources } from '../subresources/index.ts'
import { certificateCheck, trustCheck } from './apiserver-checks.ts'
import { openConfigurationCache } from './cluster-configuration.ts'
import { buildClusterExpander, lateShapes } from './cluster-expander.ts'
import { openClusterNodes, type WorkerCallOptions } from './cluster-nodes.ts'
import { openClusterWebhooks } from './cluster-webhooks.ts'
import { openCluster, type ClusterOptions } from './cluster.ts'
import { parseListen, urlOf } from './listen.ts'
import { countSessions, countVms, openRoleMetrics, serveApiMetrics } from './metrics.ts'
import { namelessTls } from './nameless-tls.ts'
import { buildTicketKeys } from './ticket-keys.ts'
import { groupVersion } from './version.ts'
import { openWatchedAuthority, prepareTls, type TlsSource, type WatchedTls } from './watched-tls.ts'

/** What an API server process is started with. Files are PEM, and read again when they change, as Secrets are. */
export interface ApiServerRoleOptions extends ClusterOptions, WorkerCallOptions {
  /** `ADDRESS:PORT`; port 0 takes a free one. */
  listen: string
  /** The pair shown to clients; what it believes is not looked at. */
  serving: TlsSource
  /** Whose client certificates are believed, besides those of kube-apiserver; those of nobody where absent. */
  clientCa?: string
  /** `ADDRESS:PORT` of the admission webhooks; none are served where absent. They show the same pair. */
  webhookListen?: string
  /** Who has a certificate of it may ask the webhooks; anybody may where absent. */
  webhookClientCa?: string
  /** Where KubeVirt's own accounts, the KubeVirt object and the Leases of workers are. */
  installNamespace: string
  /** How long open consoles may go on when the server ends. */
  drainSeconds: number
  /** Whether anybody may read `/metrics`. */
  anonymousMetrics?: boolean
  /** Pages that may open streams, besides our own. */
  allowedOrigins: readonly string[]
  log: Log
  /** Who did what. */
  audit: AuditLog
  signal: AbortSignal
}

/** An API server that listens. Closing it lets open streams end first. */
export interface RunningApiServer extends AsyncDisposable {
  url: string
  /** Where the webhooks are served, if they are. */
  webhookUrl?: string
}

/**
 * Serves the subresource API for objects that a Kubernetes API holds, and on another port the admission webhooks. That
 * API forwards requests to us, says on whose behalf, who a bearer token belongs to and who may do what.
 */
export async function openApiServerRole(options: ApiServerRoleOptions): Promise<RunningApiServer> {
  const { log } = options
  await using stack = new AsyncDisposableStack()
  const listen = parseListen(options.listen)
  const metrics = openRoleMetrics(log)
  const servingTls = stack.use(await prepareTls(options.serving, log))
  const workerTls = stack.use(await prepareTls(options.tls, log))
  const holders = stack.use(await openCertificateHolders(options))
  const { client, store } = stack.use(await openCluster(options, watchCalls(metrics)))
  const namespace = options.installNamespace
  const access = { store, namespace, clock: systemClock, signal: options.signal }
  const serving = await servingTls.open(access)
  const tls = await workerTls.open(access)
  const { directory: nodes } = stack.use(await openClusterNodes({ ...options, tls, store, namespace }))
  const events = stack.use(
    openEventRecorder({ store, component: 'virtgate-apiserver', clock: systemClock, log }),
  )
  const configuration = stack.use(openConfigurationCache(store, systemClock, log))
  const trust = stack.use(openTrustCache({ store, openInformer, clock: systemClock, log }))
  const readConfiguration = () => configuration.read()
  const authorizer = buildReviewAuthorizer(client, systemClock, {
    watch: watchAccessReviews(metrics, 'SubjectAccessReview'),
  })
  const foreignUses = buildForeignUses(authorizer)
  const parts = {
    store,
    nodes,
    events,
    configuration: readConfiguration,
    expander: buildClusterExpander(store, namespace, () => configuration.kubeVirts()),
    foreignUses,
    shapes: lateShapes(),
  }
  metrics.add(
    certificateSource({
      serving: () => serving.current().cert,
      'worker-client': () => tls.current().cert,
      'internal-ca': () => tls.current().ca,
    }),
  )
  const kubeVirts = configuration.objects
  const webhooks = stack.use(
    await openClusterWebhooks({
      ...options,
      serving,
      store,
      foreignUses,
      kubeVirts,
      admitted: countVms(metrics),
      judged: watchAdmission(metrics),
    }),
  )
  const app = buildApp(options, { parts, authorizer }, client, serving, [trust, holders], metrics)
  registerReadiness(app, [trustCheck(trust), certificateCheck(serving), ...webhooks.checks], log)
  stack.defer(() => app.close())
  await app.listen(listen)
  // It listens on a port, not on a socket in the file system.
  const { port } = app.server.address() as AddressInfo
  const open = stack.move()
  return {
    url: urlOf(listen.host, port),
    ...(webhooks.url !== undefined && { webhookUrl: webhooks.url }),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

function buildApp(
  options: ApiServerRoleOptions,
  { parts, authorizer }: { parts: Parts; authorizer: Authorizer },
  client: KubeClient,
  serving: WatchedTls,
  [trust, holders]: [TrustSource, CertificateHolders],
  metrics: Metrics,
): FastifyInstance {
  const { drainSeconds, log } = options
  const frontProxy = buildFrontProxy(trust)
  // No impersonation: kube-apiserver, which forwards requests, has dealt with it (contract: security A8).
  const app = buildServer({
    tls: namelessTls(serving.current()),
    parts,
    authenticator: unionAuthenticator([
      frontProxy.authenticator,
      ...holders.authenticators,
      buildTokenAuthenticator(
        buildReviewTokenReader(client, systemClock, { watch: watchAccessReviews(metrics, 'TokenReview') }),
      ),
      frontProxy.lastWord,
    ]),
    authorizer,
    subresources,
    log,
    audit: options.audit,
    allowedOrigins: options.allowedOrigins,
    // Replicas serve the same pair.
    ticketKeys: buildTicketKeys(() => serving.current().key),
    installNamespace: options.installNamespace,
    sessionCounter: countSessions(metrics, parts.store),
    watch: watchServer(metrics),
    limits: { drainMs: drainSeconds * 1000 },
  })
  registerAggregatedRoot(app, subresources, {
    store: parts.store,
    version: groupVersion(),
    apiServerVersion: () => client.call({ method: 'GET', path: '/version' }),
    log,
    profiling: {
      profiler: buildProfiler(),
      configuration: parts.configuration,
      component: `virt-api-${hostname()}`,
    },
  })
  serveApiMetrics(app, metrics, options.anonymousMetrics)
  serving.onChange((files) => reloadTls(app, namelessTls(files)))
  return app
}

interface CertificateHolders extends AsyncDisposable {
  authenticators: Authenticator[]
}

/** Nobody is known by a certificate of their own unless there is an authority for that. */
async function openCertificateHolders({ clientCa, log }: ApiServerRoleOptions): Promise<CertificateHolders> {
  if (clientCa === undefined) return { authenticators: [], async [Symbol.asyncDispose]() {} }
  const authority = await openWatchedAuthority(clientCa, log)
  return {
    authenticators: [buildCertificateAuthenticator(() => authority.current())],
    [Symbol.asyncDispose]: () => authority[Symbol.asyncDispose](),
  }
}
