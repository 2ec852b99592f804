/** The admission webhooks of `virtgate apiserver`. */
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { AdmissionParts } from '../admission/judge.ts'
import { buildCertificateAuthenticator } from '../auth/client-certificate.ts'
import type { ForeignUses } from '../auth/foreign-use.ts'
import type { ReadinessCheck } from '../http/readiness.ts'
import { reloadTls } from '../http/tls.ts'
import { buildWebhookServer } from '../http/webhook-server.ts'
import type { KubeVirt } from '../kinds/kubevirt.ts'
import { systemClock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { AdmissionWatch } from '../metrics/admission.ts'
import type { Informer } from '../store/cache.ts'
import type { Store } from '../store/store.ts'
import { ownArchitecture } from './architecture.ts'
import { certificateCheck } from './apiserver-checks.ts'
import { namelessTls } from './nameless-tls.ts'
import { openClusterAdmission } from './cluster-admission.ts'
import { parseListen, urlOf } from './listen.ts'
import { openWatchedAuthority, type WatchedTls } from './watched-tls.ts'

/** What the webhooks are opened with. */
export interface ClusterWebhookOptions {
  /** `ADDRESS:PORT`; none are served where absent. */
  webhookListen?: string
  /** Who has a certificate of it may ask; anybody may where absent. PEM file, read again when it changes. */
  webhookClientCa?: string
  installNamespace: string
  /** The pair that is shown. */
  serving: WatchedTls
  store: Store
  /** What who writes objects may use of other namespaces. */
  foreignUses: ForeignUses
  kubeVirts: Pick<Informer<KubeVirt>, 'list' | 'synced'>
  /** Told of what is let through. */
  admitted: NonNullable<AdmissionParts['admitted']>
  /** Told of each review. */
  judged: AdmissionWatch
  log: Log
}

/** Webhooks that are served, or none. */
export interface ClusterWebhooks extends AsyncDisposable {
  url?: string
  /** What has to be there before they can answer. */
  checks: ReadinessCheck[]
}

/** Serves the webhooks where `webhookListen` says so. */
export async function openClusterWebhooks(options: ClusterWebhookOptions): Promise<ClusterWebhooks> {
  const { webhookListen, webhookClientCa, installNamespace, serving, store, foreignUses, kubeVirts, log } =
    options
  if (webhookListen === undefined) return { checks: [], [Symbol.asyncDispose]: async () => {} }
  await using stack = new AsyncDisposableStack()
  const listen = parseListen(webhookListen)
  const installation = {
    namespace: installNamespace,
    architecture: ownArchitecture(),
  }
  const admission = stack.use(
    openClusterAdmission({ store, kubeVirts, installation, foreignUses, clock: systemClock, log }),
  )
  const needs = [{ name: 'admission', missing: async () => admission.missing() }]
  const callers =
    webhookClientCa === undefined ? undefined : stack.use(await openWatchedAuthority(webhookClientCa, log))
  if (!callers)
    log.warn(
      {},
      'whoever reaches the webhooks is answered, and can keep room in quotas by reviews that they make up: close the port to all but the control plane, or set --webhook-client-ca',
    )
  const app = buildWebhookServer({
    tls: namelessTls(serving.current()),
    admission: { ...admission.parts, admitted: options.admitted },
    ...(callers && { callers: buildCertificateAuthenticator(() => callers.current()) }),
    needs,
    checks: [certificateCheck(serving)],
    watch: options.judged,
    log,
  })
  stack.defer(() => app.close())
  serving.onChange((files) => reloadTls(app, namelessTls(files)))
  const url = await listenAt(app, listen)
  const open = stack.move()
  return { url, checks: needs, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

async function listenAt(app: FastifyInstance, listen: { host: string; port: number }): Promise<string> {
  await app.listen(listen)
  // It listens on a port, not on a socket in the file system.
  const { port } = app.server.address() as AddressInfo
  return urlOf(listen.host, port)
}
