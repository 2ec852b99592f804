import type { FastifyInstance } from 'fastify'
import type { Attributes, Authenticator, Authorizer, User } from '../../src/auth/access.ts'
import { selfSubjectAccessReview } from '../../src/auth/reviews/access.ts'
import type { KubernetesApiParts } from '../../src/embedded/http/parts.ts'
import { registerKubernetesApi } from '../../src/embedded/http/register.ts'
import type { RegistryParts } from '../../src/embedded/registry.ts'
import { openSchemas } from '../../src/embedded/schemas/open.ts'
import { listSubresources } from '../../src/http/discovery.ts'
import { buildSubresourceOpenApi } from '../../src/http/openapi.ts'
import { buildServer } from '../../src/http/server.ts'
import type { Tls } from '../../src/http/tls.ts'
import { mayUseAll } from '../../src/kinds/foreign-use.ts'
import { KINDS } from '../../src/kinds/table.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { buildClusterExpander } from '../../src/roles/cluster-expander.ts'
import { subresources } from '../../src/subresources/index.ts'
import { memoryLog, nodesOf } from './api.ts'
import { openRegistry } from './object-registry.ts'

/** Whoever shows `admin` may do everything; all others are called as their token says. */
const byToken: Authenticator = {
  authenticate: async ({ bearerToken }) => {
    if (bearerToken === undefined) return undefined
    const groups = bearerToken === 'admin' ? ['system:masters'] : []
    return { name: bearerToken, groups: [...groups, 'system:authenticated'] }
  },
}

const DISCOVERY = /^\/(api|apis|openapi)(\/|$)/

/** People who are no administrators read the namespace `ns1` and discovery. */
function mayOthers(attributes: Attributes): boolean {
  if (attributes.kind === 'path') return DISCOVERY.test(attributes.path)
  if (attributes.group === 'authorization.k8s.io') return attributes.resource.startsWith('self')
  return ['get', 'list', 'watch'].includes(attributes.verb) && attributes.namespace === 'ns1'
}

/** A server of embedded mode's Kubernetes API over objects in memory, not listening yet. */
export interface TestKubeApi extends AsyncDisposable {
  app: FastifyInstance
  registry: Awaited<ReturnType<typeof openRegistry>>
  log: ReturnType<typeof memoryLog>
  /** What was asked of the authorizer. */
  reviews: { user: User; attributes: Attributes }[]
  /** Asks as the administrator, or as whom `token` names. */
  ask(method: string, url: string, options?: AskOptions): Promise<Answer>
}

export interface AskOptions {
  token?: string
  body?: unknown
  headers?: Record<string, string>
}

export interface Answer {
  code: number
  headers: Record<string, unknown>
  text: string
  /** The body as JSON; tests look into it by what they expect. */
  // oxlint-disable-next-line typescript/no-explicit-any -- answers have as many types as there are requests.
  body: any
}

export interface TestKubeApiOptions {
  tls?: Tls
  registry?: Partial<RegistryParts>
  parts?: Partial<KubernetesApiParts>
}

export const TEST_VERSION: KubernetesApiParts['version'] = {
  major: '1',
  minor: '34',
  gitVersion: 'v1.34.0',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '2026-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: 'linux/amd64',
}

/** Opens it; close it with `await using`. */
export async function openKubeApi(options: TestKubeApiOptions = {}): Promise<TestKubeApi> {
  const schemas = openSchemas()
  const registry = await openRegistry({ shapes: schemas, ...options.registry })
  const store = registry.api.as({ name: 'server', groups: [] })
  const reviews: TestKubeApi['reviews'] = []
  const log = memoryLog()
  const authorizer: Authorizer = {
    review: async (user, attributes) => {
      reviews.push({ user, attributes })
      return { allowed: user.groups.includes('system:masters') || mayOthers(attributes), reason: '' }
    },
  }
  const app = buildServer({
    parts: {
      store,
      nodes: nodesOf({}),
      events: { record() {} },
      configuration: async () => ({}),
      foreignUses: () => mayUseAll,
      expander: buildClusterExpander(store, 'kubevirt', async () => []),
      shapes: schemas,
    },
    authenticator: byToken,
    authorizer,
    subresources,
    log,
    ...(options.tls && { tls: options.tls }),
  })
  const { v3 } = buildSubresourceOpenApi(subresources, TEST_VERSION.gitVersion)
  registerKubernetesApi(app, {
    api: registry.api,
    kinds: KINDS,
    reviews: [selfSubjectAccessReview(authorizer)],
    requestToken: async (namespace, name) => ({ status: { token: `${namespace}/${name}` } }),
    version: TEST_VERSION,
    checks: [],
    extraGroups: listSubresources(subresources).map((one) => ({ ...one, openApi: v3[one.version] })),
    schemas,
    clock: systemClock,
    random: () => 0,
    onFailure: (error) => log.warn({ err: error }, 'a watch broke'),
    ...options.parts,
  })
  return {
    app,
    registry,
    log,
    reviews,
    ask: (method, url, request) => ask(app, method, url, request),
    async [Symbol.asyncDispose]() {
      await app.close()
      registry[Symbol.dispose]()
    },
  }
}

async function ask(
  app: FastifyInstance,
  method: string,
  url: string,
  { token = 'admin', body, headers }: AskOptions = {},
): Promise<Answer> {
  const isText = typeof body === 'string'
  const response = await app.inject({
    // The methods that tests ask with are among those that inject knows.
    method: method as 'GET',
    url,
    headers: {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && !isText && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { payload: isText ? body : JSON.stringify(body) }),
  })
  return {
    code: response.statusCode,
    headers: response.headers,
    text: response.body,
    body: parse(response.body),
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
