import { StatusError } from '../lib/errors.ts'
import type { Attributes, Authorizer, Decision, User } from './access.ts'

/** Passes where the user may; throws 403 where not, and whatever keeps the authorizer from finding out. */
export async function authorize(
  authorizer: Authorizer,
  user: User,
  attributes: Attributes,
  signal?: AbortSignal,
): Promise<void> {
  const decision = await authorizer.review(user, attributes, signal)
  if (!decision.allowed) throw denied(user, attributes, decision)
}

/**
 * 403 with the words of kube-apiserver, which people and tools search for.
 * Source: `forbiddenMessage` in `k8s.io/apiserver/pkg/endpoints/handlers/responsewriters`.
 */
export function denied(user: User, attributes: Attributes, { reason }: Decision): StatusError {
  const message = describeDenied(user, attributes) + (reason && `: ${reason}`)
  if (attributes.kind === 'path') return new StatusError(403, 'Forbidden', `forbidden: ${message}`, {})
  const { group, resource, name } = attributes
  const subject = group ? `${resource}.${group}` : resource
  const named = name ? `${subject} ${JSON.stringify(name)}` : subject
  return new StatusError(403, 'Forbidden', `${named} is forbidden: ${message}`, {
    ...(name && { name }),
    ...(group && { group }),
    kind: resource,
  })
}

/** Which right the user has not, in the words of kube-apiserver. */
export function describeDenied(user: User, attributes: Attributes): string {
  const who = `User ${JSON.stringify(user.name)} cannot ${attributes.verb}`
  if (attributes.kind === 'path') return `${who} path ${JSON.stringify(attributes.path)}`
  const { resource, subresource, group, namespace } = attributes
  const what = JSON.stringify(subresource ? `${resource}/${subresource}` : resource)
  const where = namespace ? `in the namespace ${JSON.stringify(namespace)}` : 'at the cluster scope'
  return `${who} resource ${what} in API group ${JSON.stringify(group)} ${where}`
}
