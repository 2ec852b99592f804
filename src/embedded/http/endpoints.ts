import type { FastifyRequest } from 'fastify'
import type { ResourceAttributes } from '../../auth/access.ts'
import type { Kind } from '../../kinds/kind.ts'
import { parseFieldSelector, SelectorError } from '../../lib/selectors.ts'
import { readFlag, readText, type RawQuery } from './query.ts'

/** What is done at an endpoint, as RBAC words it. */
export type Verb = 'create' | 'delete' | 'deletecollection' | 'get' | 'list' | 'patch' | 'update'

/** One method at one path of one kind. */
export interface Endpoint {
  kind: Kind
  method: 'DELETE' | 'GET' | 'PATCH' | 'POST' | 'PUT'
  /** With `:namespace` and `:name`. */
  url: string
  /** `list` stands for `watch`, too: the query tells. */
  verb: Verb
  subresource?: 'status'
}

/** The path under which a group's version is served. */
export function rootOf({ group, version }: Pick<Kind, 'group' | 'version'>): string {
  return group ? `/apis/${group}/${version}` : `/api/${version}`
}

/** Whether many objects of a kind may be deleted at once. Namespaces go one by one, as in Kubernetes. */
export function hasDeleteCollection({ group, plural }: Kind): boolean {
  return group !== '' || plural !== 'namespaces'
}

/** The verbs of a kind, in the order of discovery. */
export function verbsOf(kind: Kind): string[] {
  return [
    'create',
    'delete',
    ...(hasDeleteCollection(kind) ? ['deletecollection'] : []),
    'get',
    'list',
    'patch',
    'update',
    'watch',
  ]
}

/** The verbs of a status subresource. */
export const STATUS_VERBS = ['get', 'patch', 'update']

/** All endpoints of a kind. */
export function endpointsOf(kind: Kind): Endpoint[] {
  const root = rootOf(kind)
  const everywhere = `${root}/${kind.plural}`
  const collection = kind.namespaced ? `${root}/namespaces/:namespace/${kind.plural}` : everywhere
  const item = `${collection}/:name`
  const endpoints: Endpoint[] = [
    { kind, method: 'GET', url: collection, verb: 'list' },
    { kind, method: 'POST', url: collection, verb: 'create' },
    { kind, method: 'GET', url: item, verb: 'get' },
    { kind, method: 'PUT', url: item, verb: 'update' },
    { kind, method: 'PATCH', url: item, verb: 'patch' },
    { kind, method: 'DELETE', url: item, verb: 'delete' },
  ]
  if (kind.namespaced) endpoints.push({ kind, method: 'GET', url: everywhere, verb: 'list' })
  if (hasDeleteCollection(kind)) {
    endpoints.push({ kind, method: 'DELETE', url: collection, verb: 'deletecollection' })
  }
  return kind.hasStatus ? [...endpoints, ...statusEndpoints(kind, `${item}/status`)] : endpoints
}

function statusEndpoints(kind: Kind, url: string): Endpoint[] {
  return [
    { kind, method: 'GET', url, verb: 'get', subresource: 'status' },
    { kind, method: 'PUT', url, verb: 'update', subresource: 'status' },
    { kind, method: 'PATCH', url, verb: 'patch', subresource: 'status' },
  ]
}

/** Where a request points: '' where the route has no such part. */
export interface Target {
  namespace: string
  name: string
}

/** The parts of the matched route. */
export function targetOf({ params }: FastifyRequest): Target {
  const { namespace = '', name = '' } = params as Partial<Target>
  return { namespace, name }
}

/** Whether a request at a `list` endpoint wants changes as they happen. */
export function isWatch(request: FastifyRequest): boolean {
  return readFlag(request.query as RawQuery, 'watch') ?? false
}

/** What a request at an endpoint asks for, for the authorizer. */
export function attributesOf(endpoint: Endpoint, request: FastifyRequest): ResourceAttributes {
  const { kind, subresource } = endpoint
  const target = targetOf(request)
  const isMany = endpoint.verb === 'list' || endpoint.verb === 'deletecollection'
  const name = isMany ? nameInSelector(request.query as RawQuery) : target.name
  // A namespace is an object of itself, so that a Role inside may grant to read it.
  const namespace = kind.group === '' && kind.plural === 'namespaces' ? target.name : target.namespace
  return {
    kind: 'resource',
    verb: endpoint.verb === 'list' && isWatch(request) ? 'watch' : endpoint.verb,
    group: kind.group,
    version: kind.version,
    resource: kind.plural,
    ...(subresource && { subresource }),
    ...(namespace && { namespace }),
    ...(name && { name }),
  }
}

/**
 * The one object that a selector picks, so that a rule with `resourceNames` may grant to watch it.
 * Source: `RequestInfoFactory.NewRequestInfo` in `k8s.io/apiserver/pkg/endpoints/request`.
 */
function nameInSelector(query: RawQuery): string {
  const selector = readText(query, 'fieldSelector')
  if (!selector) return ''
  try {
    const found = parseFieldSelector(selector).find(
      ({ field, operator }) => field === 'metadata.name' && operator === '=',
    )
    return found?.value ?? ''
  } catch (error) {
    // The handler refuses it, once it is known that the caller may list at all.
    if (error instanceof SelectorError) return ''
    throw error
  }
}
