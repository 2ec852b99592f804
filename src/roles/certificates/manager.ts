import type { RotationPolicy } from '../../../certs/rotation.ts'
import { REGISTRATIONS, TLS_SECRETS, TRUST_CONFIGMAP_NAME } from '../../kinds/installation.ts'
import type { Kind } from '../../kinds/kind.ts'
import { selectOne } from '../../kinds/meta.ts'
import {
  API_SERVICES,
  CONFIGMAPS,
  MUTATING_WEBHOOKS,
  SECRETS,
  VALIDATING_WEBHOOKS,
} from '../../kinds/table.ts'
import type { Clock } from '../../lib/clock.ts'
import { hasReason } from '../../lib/errors.ts'
import type { Log } from '../../lib/log.ts'
import { openWorkQueue } from '../../lib/work-queue.ts'
import { openInformer } from '../../store/informer.ts'
import type { ObjectWatcher, ObjectReader } from '../../store/store.ts'
import { keepAuthority, type Follower, type KeptAuthority } from './keep.ts'
import {
  apiServiceOutlet,
  configMapOutlet,
  leafOutlet,
  webhookOutlet,
  type CertificateStorage,
  type Outlet,
} from './outlets.ts'
import { callerWish, enrolmentWish, servingWish } from './wishes.ts'

/** Which certificates of an installation are kept, and how. */
export interface CertificateManagerOptions {
  store: CertificateStorage & ObjectReader & ObjectWatcher
  /** Where the Secrets are. */
  namespace: string
  policy: RotationPolicy
  /** Names and addresses of the API server besides those of its Service; absent where somebody else makes its pair. */
  serving?: { hosts: readonly string[] }
  /** The workers that can be reached at this moment; `undefined` while that is not known. */
  workers(): readonly Follower[] | undefined
  clock: Clock
  log: Log
}

/** The longest that anything goes without being looked at. */
const LONGEST_MS = 60_000
const SHORTEST_MS = 100

/**
 * Keeps the authorities of an installation and what they sign, in Secrets: makes them, renews and rotates them, and puts
 * right what somebody else has changed. As many may do so at the same time as there are controllers.
 */
export function startCertificateManager(options: CertificateManagerOptions): AsyncDisposable {
  const { store, policy, clock, log } = options
  const authorities = new Map(keptAuthorities(options).map((kept) => [kept.name, kept]))
  const tickMs = Math.min(
    LONGEST_MS,
    Math.max(SHORTEST_MS, Math.min(policy.spreadMs, policy.overlapMs, policy.leafMs / 3) / 4),
  )
  const stack = new AsyncDisposableStack()
  const queue = openWorkQueue({
    workers: authorities.size,
    async run(name) {
      const kept = authorities.get(name)
      if (!kept) return
      const again = await keepAuthority(kept, { store, policy, clock, log })
      if (again) queue.add(name)
      else queue.addAfter(name, tickMs)
    },
    onError(name, error, retryMs) {
      const isRace = hasReason(error, 'Conflict', 'AlreadyExists')
      log[isRace ? 'debug' : 'error']({ err: error, secret: name, retryMs }, 'certificates cannot be kept')
    },
    clock,
  })
  const lookAtAll = () => {
    for (const name of authorities.keys()) queue.add(name)
  }
  stack.use(followAll(options, lookAtAll))
  stack.use(queue)
  lookAtAll()
  return stack
}

function keptAuthorities(options: CertificateManagerOptions): KeptAuthority[] {
  const { store, namespace, policy, clock, serving } = options
  const leaf = (name: string, wish: Parameters<typeof leafOutlet>[2]) =>
    leafOutlet(store, { namespace, name }, wish, { clock, leafMs: policy.leafMs })
  const internal: KeptAuthority = {
    namespace,
    name: TLS_SECRETS.internalAuthority,
    outlets: [
      configMapOutlet(store, { namespace, name: TRUST_CONFIGMAP_NAME }),
      leaf(TLS_SECRETS.apiserver, callerWish('apiserver')),
      leaf(TLS_SECRETS.controller, callerWish('controller')),
      leaf(TLS_SECRETS.monitor, callerWish('monitor')),
      leaf(TLS_SECRETS.enrolment, enrolmentWish(namespace)),
    ],
    followers: () => options.workers(),
  }
  if (!serving) return [internal]
  const outlets: Outlet[] = [
    ...REGISTRATIONS.apiServices.map((name) => apiServiceOutlet(store, name)),
    ...REGISTRATIONS.mutating.map((name) => webhookOutlet(store, MUTATING_WEBHOOKS, name)),
    ...REGISTRATIONS.validating.map((name) => webhookOutlet(store, VALIDATING_WEBHOOKS, name)),
    // After whoever has to believe it.
    leaf(TLS_SECRETS.serving, servingWish(namespace, serving.hosts)),
  ]
  return [internal, { namespace, name: TLS_SECRETS.servingAuthority, outlets, followers: () => [] }]
}

/** Calls `run` whenever something that is kept has changed. Each is followed by its name: we may see no others. */
function followAll(options: CertificateManagerOptions, run: () => void): AsyncDisposable {
  const { store, namespace, serving, clock, log } = options
  const stack = new AsyncDisposableStack()
  const follow = (kind: Kind, name: string) => {
    const selection = selectOne({ ...(kind.namespaced && { namespace }), name })
    stack.use(openInformer(store, kind, selection, { clock, log })).onChange(run)
  }
  const { serving: pair, servingAuthority, ...internal } = TLS_SECRETS
  for (const name of Object.values(internal)) follow(SECRETS, name)
  follow(CONFIGMAPS, TRUST_CONFIGMAP_NAME)
  if (!serving) return stack
  for (const name of [pair, servingAuthority]) follow(SECRETS, name)
  for (const name of REGISTRATIONS.apiServices) follow(API_SERVICES, name)
  for (const name of REGISTRATIONS.mutating) follow(MUTATING_WEBHOOKS, name)
  for (const name of REGISTRATIONS.validating) follow(VALIDATING_WEBHOOKS, name)
  return stack
}
