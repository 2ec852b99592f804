/** `/metrics` of processes that serve no API. */
import { X509Certificate } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { roleUri } from '../../certs/roles.ts'
import { buildCertificateAuthenticator } from '../auth/client-certificate.ts'
import { authorize } from '../auth/denied.ts'
import { buildReviewAuthorizer } from '../auth/remote/authorizer.ts'
import { buildReviewTokenReader } from '../auth/remote/token-reader.ts'
import { buildTokenAuthenticator } from '../auth/service-account-tokens.ts'
import { unionAuthenticator } from '../auth/authenticate.ts'
import { credentialsOf, identify } from '../http/authenticate.ts'
import { METRICS_PATH } from '../http/metrics-route.ts'
import { buildMetricsServer } from '../http/metrics-server.ts'
import { reloadTls } from '../http/tls.ts'
import type { KubeClient } from '../kube/client.ts'
import { StatusError, unauthorized } from '../lib/errors.ts'
import { urisOf } from '../rpc/identity.ts'
import { systemClock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { watchAccessReviews } from '../metrics/access-reviews.ts'
import { CONTENT_TYPE, type Metrics } from '../metrics/exposition.ts'
import { parseListen, urlOf } from './listen.ts'
import { namelessTls } from './nameless-tls.ts'
import type { WatchedTls } from './watched-tls.ts'

/** A listener for who reads metrics. */
export interface MetricsListener extends AsyncDisposable {
  url: string
}

/** What the listener is opened with. */
export interface MetricsListenerOptions {
  metrics: Metrics
  tls: WatchedTls
  /** Throws 401 or 403 where the caller may not read. */
  admit: (request: FastifyRequest) => Promise<void>
  log: Log
}

/** Listens at `ADDRESS:PORT`; port 0 takes a free one. */
export async function openMetricsListener(
  listen: string,
  { metrics, tls, admit, log }: MetricsListenerOptions,
): Promise<MetricsListener> {
  const app = buildMetricsServer({
    tls: namelessTls(tls.current()),
    text: (signal) => metrics.text(signal),
    contentType: CONTENT_TYPE,
    admit,
    log,
  })
  tls.onChange((files) => reloadTls(app, namelessTls(files)))
  const { host, port } = parseListen(listen)
  await app.listen({ host, port })
  // It listens on a port, not on a socket in the file system.
  const { port: listening } = app.server.address() as AddressInfo
  return { url: urlOf(host, listening), [Symbol.asyncDispose]: () => app.close() }
}

/**
 * Lets those read who show a certificate of the role `monitor`, from an authority in `roots`: a worker can ask nobody who
 * somebody else is.
 */
export function admitMonitors(roots: () => string): (request: FastifyRequest) => Promise<void> {
  const holders = buildCertificateAuthenticator(roots)
  const wanted = roleUri({ role: 'monitor' })
  return async (request) => {
    const credentials = credentialsOf(request)
    const { clientCertificate } = credentials
    const holder = await holders.authenticate(credentials)
    if (!holder || !clientCertificate) {
      throw unauthorized('show a client certificate of the authority that this worker believes')
    }
    if (urisOf(new X509Certificate(clientCertificate).subjectAltName).includes(wanted)) return
    throw new StatusError(403, 'Forbidden', `metrics are for holders of a certificate for ${wanted}`)
  }
}

/** Lets those read who show a token of somebody who may `get` the path: kube-apiserver says who that is, and whether. */
export function admitReviewed(
  client: KubeClient,
  metrics: Metrics,
): (request: FastifyRequest) => Promise<void> {
  const optionsOf = (review: string) => ({ watch: watchAccessReviews(metrics, review) })
  const bearers = buildTokenAuthenticator(
    buildReviewTokenReader(client, systemClock, optionsOf('TokenReview')),
  )
  const authenticator = unionAuthenticator([bearers])
  const authorizer = buildReviewAuthorizer(client, systemClock, optionsOf('SubjectAccessReview'))
  return async (request) => {
    const { signal } = new AbortController()
    const user = await identify({ authenticator }, request, signal)
    await authorize(authorizer, user, { kind: 'path', verb: 'get', path: METRICS_PATH }, signal)
  }
}
