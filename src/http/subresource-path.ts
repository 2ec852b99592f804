import type { FastifyRequest } from 'fastify'
import type { ResourceAttributes } from '../auth/access.ts'
import type { Subresource } from '../subresources/subresource.ts'
import { targetOf } from './call.ts'
import { GROUP } from './group.ts'

type Place = Pick<Subresource, 'resource' | 'name'>

/** How discovery and roles name a subresource: `virtualmachines/start`, or `expand-vm-spec`. */
export function resourceNameOf({ resource, name }: Place): string {
  return resource ? `${resource.plural}/${name}` : name
}

/** The paths of a subresource, with `:name` for what varies. A stream may have several. */
export function pathsOf(version: string, subresource: Subresource): string[] {
  const { resource, name } = subresource
  const place = resource ? `${resource.plural}/:name/${name}` : name
  const tails = (subresource.type === 'stream' && subresource.paths) || ['']
  return tails.map((tail) => `/apis/${GROUP}/${version}/namespaces/:namespace/${place}${tail}`)
}

/** What a request asks to be allowed; parts of the path behind the subresource's name do not count (contract 2.4). */
export function attributesOf(
  request: FastifyRequest,
  version: string,
  { resource, name: subresource, verb }: Subresource,
): ResourceAttributes {
  const { namespace, name } = targetOf(request)
  const head = { kind: 'resource', verb, group: GROUP, version } as const
  return resource
    ? { ...head, resource: resource.plural, subresource, namespace, name }
    : { ...head, resource: subresource, namespace }
}
