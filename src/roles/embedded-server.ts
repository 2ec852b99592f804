import { randomInt } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { CertificateStore } from '../../certs/store.ts'
import { unionAuthenticator } from '../auth/authenticate.ts'
import { buildCertificateAuthenticator } from '../auth/client-certificate.ts'
import { impersonate } from '../auth/impersonate.ts'
import { buildReviews } from '../auth/reviews/index.ts'
import { buildTokenRequest } from '../auth/reviews/token-request.ts'
import { buildServiceAccountTokens, buildTokenAuthenticator } from '../auth/service-account-tokens.ts'
import type { ShapeChecker } from '../embedded/api.ts'
import type { GroupVersionResources } from '../embedded/discovery/resources.ts'
import { registerKubernetesApi } from '../embedded/http/register.ts'
import type { SchemaSource } from '../embedded/openapi/schemas.ts'
import { listSubresources } from '../http/discovery.ts'
import { registerGroupEndpoints } from '../http/group-routes.ts'
import { buildSubresourceOpenApi } from '../http/openapi.ts'
import type { AuditLog } from '../http/audit.ts'
import { buildProfiler } from '../http/profiler.ts'
import { buildServer } from '../http/server.ts'
import { reloadTls, type Tls } from '../http/tls.ts'
import { registerWebhooks } from '../http/webhook-routes.ts'
import { configurationOf } from '../kinds/configuration.ts'
import { KINDS, KUBEVIRTS } from '../kinds/table.ts'
import { systemClock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Metrics } from '../metrics/exposition.ts'
import type { Nodes } from '../rpc/actions.ts'
import type { EventRecorder } from '../store/events.ts'
import { subresources } from '../subresources/index.ts'
import type { EmbeddedApi } from './embedded-api.ts'
import { watchAdmission } from '../metrics/admission.ts'
import { watchServer } from '../metrics/server.ts'
import { countSessions, serveApiMetrics } from './metrics.ts'
import { buildTicketKeys } from './ticket-keys.ts'
import { groupVersion, KUBERNETES_VERSION } from './version.ts'

/** What the server of embedded mode is put together from. */
export interface EmbeddedServerParts {
  embedded: EmbeddedApi
  nodes: Nodes
  events: EventRecorder
  certificates: CertificateStore
  schemas: SchemaSource & ShapeChecker
  log: Log
  /** Who did what; with the rest of the log where absent. */
  audit?: AuditLog
  /** Served at `/metrics`. */
  metrics: Metrics
  /** Whether anybody may read them. */
  anonymousMetrics?: boolean | undefined
  /** Pages that may open streams, besides our own. */
  allowedOrigins?: readonly string[]
}

/** One server for the Kubernetes API and the subresources, not listening yet. It takes up renewed certificates. */
export function buildEmbeddedServer(parts: EmbeddedServerParts): FastifyInstance {
  const { embedded, nodes, events, certificates, metrics, log } = parts
  const { api, authorizer, rbac, asApiServer, asSystem } = embedded
  const configuration = async () => configurationOf((await asSystem.list(KUBEVIRTS)).items)
  const tokens = buildServiceAccountTokens({
    privateKey: certificates.current().serviceAccountKey,
    accounts: asSystem,
    clock: systemClock,
  })
  const app = buildServer({
    tls: tlsOf(certificates),
    parts: {
      store: asApiServer,
      nodes,
      events,
      configuration,
      expander: embedded.expander,
      foreignUses: embedded.foreignUses,
      shapes: parts.schemas,
    },
    authenticator: unionAuthenticator([
      buildCertificateAuthenticator(() => certificates.current().ca),
      buildTokenAuthenticator(tokens),
    ]),
    impersonate: (user, rawHeaders, signal) => impersonate(user, rawHeaders, authorizer, signal),
    authorizer,
    subresources,
    log,
    ...(parts.audit && { audit: parts.audit }),
    allowedOrigins: parts.allowedOrigins ?? [],
    ticketKeys: buildTicketKeys(() => certificates.current().serviceAccountKey),
    sessionCounter: countSessions(metrics, asSystem),
    watch: watchServer(metrics),
  })
  serveApiMetrics(app, metrics, parts.anonymousMetrics)
  registerKubernetesApi(app, {
    api,
    kinds: KINDS,
    reviews: buildReviews({ authorizer, source: rbac, tokens }),
    requestToken: buildTokenRequest(tokens, asSystem),
    version: KUBERNETES_VERSION,
    checks: [{ name: 'database', isVital: true, run: () => embedded.checkDatabase() }],
    extraGroups: describeSubresources(),
    schemas: parts.schemas,
    clock: systemClock,
    random: (below) => randomInt(below),
    onFailure: (error) => log.warn({ err: error }, 'a watch broke'),
  })
  registerGroupEndpoints(app, {
    store: asSystem,
    version: groupVersion(),
    apiServerVersion: async () => KUBERNETES_VERSION,
    log,
    profiling: { profiler: buildProfiler(), configuration, component: 'virtgate' },
  })
  registerWebhooks(app, { admission: embedded.reviews, log, watch: watchAdmission(metrics) })
  const stopReloading = certificates.onChange(() => reloadTls(app, tlsOf(certificates)))
  app.addHook('onClose', async () => stopReloading())
  return app
}

function tlsOf(certificates: CertificateStore): Tls {
  const { serving, ca } = certificates.current()
  return { ...serving, ca }
}

/** The group of the subresources, for discovery and OpenAPI. */
function describeSubresources(): GroupVersionResources[] {
  const { v3 } = buildSubresourceOpenApi(subresources, groupVersion().gitVersion)
  return listSubresources(subresources).map((one) => ({ ...one, openApi: v3[one.version] }))
}
