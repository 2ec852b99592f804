import { randomInt, randomUUID } from 'node:crypto'
import type { Admission, AdmissionRequest } from '../admission/admission.ts'
import { buildAdmission } from '../admission/build.ts'
import type { AdmissionParts } from '../admission/judge.ts'
import { kubeVirtUser } from '../admission/accounts.ts'
import { specDefaults } from '../admission/defaults.ts'
import type { Authorizer } from '../auth/access.ts'
import { buildForeignUses, type ForeignUses } from '../auth/foreign-use.ts'
import { bootstrapObjects, ensureBootstrap } from '../auth/bootstrap/bootstrap.ts'
import { serverUser } from '../auth/names.ts'
import { buildRbacAdmission, type RbacAdmission } from '../auth/rbac/admission.ts'
import { startRoleAggregation } from '../auth/rbac/aggregation.ts'
import { buildRbacAuthorizer } from '../auth/rbac/authorizer.ts'
import { openRbacCache } from '../auth/rbac/cache.ts'
import { lateRbacSource, type RbacSource } from '../auth/rbac/source.ts'
import { LOCAL_CLASS } from '../controllers/claims/reconcile.ts'
import { openAdmissionConfig } from '../embedded/admission-config.ts'
import type { ObjectApi, ShapeChecker } from '../embedded/api.ts'
import { startEventExpiry } from '../embedded/event-expiry.ts'
import { startGarbageCollector } from '../embedded/garbage-collector.ts'
import { withLimits } from '../embedded/quotas/admission.ts'
import { withQuotas } from '../embedded/quotas/database.ts'
import { correctQuotas, startQuotaResync } from '../embedded/quotas/resync.ts'
import { createSystemNamespaces, startNamespaceController } from '../embedded/namespaces.ts'
import { buildReader } from '../embedded/reader.ts'
import { buildRegistry } from '../embedded/registry.ts'
import { buildExpander, type Expander } from '../instancetype/expand.ts'
import type { Draft } from '../kinds/meta.ts'
import type { KubeVirt } from '../kinds/kubevirt.ts'
import { KINDS, KUBEVIRTS } from '../kinds/table.ts'
import type { Clock } from '../lib/clock.ts'
import { StatusError } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import type { ChargeRules } from '../quota/charges.ts'
import type { AdmissionWatch, Refusal } from '../metrics/admission.ts'
import { openInformer } from '../store/informer.ts'
import { openObjectDatabase } from '../store/sqlite/open.ts'
import type { Store } from '../store/store.ts'
import { withDataVolumes } from './data-volume-admission.ts'

/** What the embedded API is opened with. */
export interface EmbeddedApiOptions {
  /** Path of the database. */
  file: string
  durability: 'full' | 'normal'
  shapes: ShapeChecker
  /** The host's architecture as Kubernetes spells it: `amd64` or `arm64`. */
  architecture: string
  /** Told of each write that is let through. */
  admitted?: (request: AdmissionRequest) => void
  /** Told of each write that the rules have looked at. */
  judged?: AdmissionWatch
  /** Told how long each commit took, in milliseconds. */
  onCommit?: (tookMs: number) => void
  clock: Clock
  log: Log
}

/** The objects of an embedded installation, with all that keeps them in order. */
export interface EmbeddedApi extends AsyncDisposable {
  api: ObjectApi
  rbac: RbacSource
  authorizer: Authorizer
  /** What anybody may use of other namespaces. */
  foreignUses: ForeignUses
  /** The store as our API server and our controllers see it: with their own accounts. */
  asApiServer: Store
  asController: Store
  asSystem: Store
  /** Writes out the instance types and preferences of VMs. */
  expander: Expander
  /** What reviews that come over HTTP are answered with. */
  reviews: AdmissionParts
  /** Throws where the database does not take a write. */
  checkDatabase(): Promise<void>
}

/**
 * The one KubeVirt object of an embedded installation. Host disks pass admission here: which directories may be used is
 * the worker's decision, and without `--host-disk` it is none.
 */
const KUBEVIRT: Draft<KubeVirt> = {
  apiVersion: 'kubevirt.io/v1',
  kind: 'KubeVirt',
  metadata: { name: 'kubevirt', namespace: 'kubevirt' },
  spec: { configuration: { developerConfiguration: { featureGates: ['HostDisk'] } } },
}

/** What quotas count here. Claims that name no class get the local one, by the controller of claims. */
const CHARGES: ChargeRules = { countsObjects: true, defaultStorageClass: LOCAL_CLASS }

/** Opens the database, fills it where it is empty, and starts what tends it. */
export async function openEmbeddedApi(options: EmbeddedApiOptions): Promise<EmbeddedApi> {
  await using stack = new AsyncDisposableStack()
  const { clock, log } = options
  const plain = stack.use(openObjectDatabase({ ...options, clock }))
  const corrected = await correctQuotas(plain, CHARGES)
  if (corrected.length > 0) log.info({ quotas: corrected }, 'quotas were counted anew')
  const database = withQuotas(plain, CHARGES)
  const reader = buildReader(database)
  const { forWrites: config, forReviews } = openAdmissionConfig(database, options.architecture)
  const rbac = lateRbacSource()
  const authorizer = buildRbacAuthorizer(rbac)
  const foreignUses = buildForeignUses(authorizer)
  const api: ObjectApi = stack.use(
    buildRegistry({
      database,
      kinds: KINDS,
      shapes: options.shapes,
      clock,
      newUid: randomUUID,
      random: (below) => randomInt(below),
      admission: telling(
        options,
        withLimits(
          withRbac(
            withDataVolumes(
              buildAdmission({
                config,
                reader,
                foreignUses,
                clock,
                newUid: randomUUID,
              }),
              reader,
              foreignUses,
            ),
            buildRbacAdmission(rbac, authorizer),
          ),
          database,
          CHARGES,
        ),
      ),
    }),
  )
  const asSystem = api.as(serverUser())
  await createSystemNamespaces(asSystem)
  await ensureBootstrap(asSystem, bootstrapObjects())
  await ensureKubeVirt(asSystem)

  const cacheParts = { store: asSystem, openInformer, clock, log }
  rbac.set(stack.use(await openRbacCache(cacheParts)))
  stack.use(await startRoleAggregation(cacheParts))

  const background = { api, database, kinds: KINDS, clock, log }
  stack.use(startNamespaceController(background))
  stack.use(startGarbageCollector(background))
  stack.use(startEventExpiry(background))
  stack.use(startQuotaResync({ database: plain, clock, log }, CHARGES))
  const open = stack.move()
  return {
    api,
    rbac,
    authorizer,
    foreignUses,
    asApiServer: api.as(kubeVirtUser('apiserver')),
    asController: api.as(kubeVirtUser('controller')),
    asSystem,
    expander: buildExpander({ reader, defaults: () => specDefaults(config()) }),
    reviews: { config: forReviews, reader, foreignUses, clock, newUid: randomUUID },
    checkDatabase: () => database.write(() => {}),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}

/** Tells of what was judged, and of what has passed. */
function telling(
  { admitted, judged }: Pick<EmbeddedApiOptions, 'admitted' | 'judged'>,
  admission: Admission,
): Admission {
  return {
    async review(request) {
      const what = { resource: request.kind.plural, type: 'write' } as const
      const since = performance.now()
      try {
        const verdict = await admission.review(request)
        judged?.(what, performance.now() - since)
        admitted?.(request)
        return verdict
      } catch (error) {
        judged?.(what, performance.now() - since, refusalOf(error))
        throw error
      }
    },
  }
}

function refusalOf(error: unknown): Refusal {
  if (!(error instanceof StatusError)) return { code: 500 }
  return { code: error.code, causes: error.details?.causes ?? [] }
}

/** Judges by the rules of the kind, then by who may grant what. */
function withRbac(rules: Admission, mayGrant: RbacAdmission): Admission {
  return {
    async review(request) {
      const verdict = await rules.review(request)
      await mayGrant(request.user, request.kind, verdict.object, request.old)
      return verdict
    },
  }
}

async function ensureKubeVirt(store: Store): Promise<void> {
  const { namespace = '', name = '' } = KUBEVIRT.metadata
  if (!(await store.get(KUBEVIRTS, namespace, name))) await store.create(KUBEVIRTS, KUBEVIRT)
}
