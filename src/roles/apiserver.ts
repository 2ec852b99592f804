import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Authenticator } from '../auth/access.ts'
import { unionAuthenticator } from '../auth/authenticate.ts'
import { buildCertificateAuthenticator } from '../auth/client-certificate.ts'
import { buildReviewAuthorizer } from '../auth/remote/authorizer.ts'
import { buildReviewTokenReader } from '../auth/remote/token-reader.ts'
import { buildTokenAuthenticator } from '../auth/service-account-tokens.ts'
import { registerAggregatedRoot } from '../http/aggregated-root.ts'
import { buildServer } from '../http/server.ts'
import { reloadTls, type Tls } from '../http/tls.ts'
import type { KubeClient } from '../kube/client.ts'
import { systemClock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { openEventRecorder } from '../store/event-recorder.ts'
import type { Parts } from '../subresources/subresource.ts'
import { subresources } from '../subresources/index.ts'
import { openClusterNodes, type ClusterNodesOptions } from './cluster-nodes.ts'
import { openCluster, type ClusterOptions } from './cluster.ts'
import { parseListen, urlOf } from './listen.ts'
import { groupVersion } from './version.ts'
import { openWatchedTls, type WatchedTls } from './watched-tls.ts'

/** What an API server process is started with. Files are PEM, and read again when they change. */
export interface ApiServerRoleOptions extends ClusterOptions, ClusterNodesOptions {
  /** `ADDRESS:PORT`; port 0 takes a free one. */
  listen: string
  servingCert: string
  servingKey: string
  /** Whose client certificates are believed; those of nobody where absent. */
  clientCa?: string
  /** How long open consoles may go on when the server ends. */
  drainSeconds: number
  log: Log
}

/** An API server that listens. Closing it lets open streams end first. */
export interface RunningApiServer extends AsyncDisposable {
  url: string
}

/**
 * Serves the subresource API for objects that a Kubernetes API holds. That API says who a bearer token belongs to and
 * who may do what.
 */
export async function openApiServerRole(options: ApiServerRoleOptions): Promise<RunningApiServer> {
  const { log } = options
  await using stack = new AsyncDisposableStack()
  const listen = parseListen(options.listen)
  const serving = stack.use(await openServing(options))
  const { directory: nodes } = stack.use(await openClusterNodes(options))
  const { client, store } = stack.use(await openCluster(options))
  const events = stack.use(
    openEventRecorder({ store, component: 'virtgate-apiserver', clock: systemClock, log }),
  )
  const app = buildApp(options, { store, nodes, events }, client, serving)
  stack.defer(() => app.close())
  await app.listen(listen)
  // It listens on a port, not on a socket in the file system.
  const { port } = app.server.address() as AddressInfo
  const open = stack.move()
  return { url: urlOf(listen.host, port), [Symbol.asyncDispose]: () => open.disposeAsync() }
}

/** Without an authority for clients, the certificate stands in for it: it is watched anyway, and nobody believes it. */
function openServing({ servingCert, servingKey, clientCa, log }: ApiServerRoleOptions): Promise<WatchedTls> {
  return openWatchedTls({ cert: servingCert, key: servingKey, ca: clientCa ?? servingCert }, log)
}

function buildApp(
  options: ApiServerRoleOptions,
  parts: Parts,
  client: KubeClient,
  serving: WatchedTls,
): FastifyInstance {
  const { clientCa, drainSeconds, log } = options
  const tlsOf = ({ cert, key, ca }: Tls & { ca: string }): Tls => ({
    cert,
    key,
    ...(clientCa !== undefined && { ca }),
  })
  // No impersonation: kube-apiserver, which forwards requests, has dealt with it (contract: security A8).
  const app = buildServer({
    tls: tlsOf(serving.current()),
    parts,
    authenticator: unionAuthenticator([...certificateHolders(options, serving), tokenBearers(client)]),
    authorizer: buildReviewAuthorizer(client, systemClock),
    subresources,
    log,
    limits: { drainMs: drainSeconds * 1000 },
  })
  registerAggregatedRoot(app, subresources, {
    store: parts.store,
    version: groupVersion(),
    apiServerVersion: () => client.call({ method: 'GET', path: '/version' }),
    log,
  })
  serving.onChange((files) => reloadTls(app, tlsOf(files)))
  return app
}

function certificateHolders({ clientCa }: ApiServerRoleOptions, serving: WatchedTls): Authenticator[] {
  return clientCa === undefined ? [] : [buildCertificateAuthenticator(() => serving.current().ca)]
}

function tokenBearers(client: KubeClient): Authenticator {
  return buildTokenAuthenticator(buildReviewTokenReader(client, systemClock))
}
