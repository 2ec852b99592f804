import type { ForeignUse, MayUse } from '../kinds/foreign-use.ts'
import { NETWORK_ATTACHMENTS } from '../kinds/table.ts'
import { StatusError } from '../lib/errors.ts'
import type { Authorizer, ResourceAttributes, User } from './access.ts'
import { describeDenied } from './denied.ts'

/** Tells what a user may do with objects of other namespaces than the one they work in. */
export type ForeignUses = (user: User, signal?: AbortSignal) => MayUse

/**
 * What CDI asks for in the namespace that data is cloned from. Whoever may clone a volume sees all of it, labels
 * included. Source: "Clone" in CDI's documentation; "Cloning across namespaces" in KubeVirt's user guide.
 */
const CLONE = {
  kind: 'resource',
  verb: 'create',
  group: 'cdi.kubevirt.io',
  version: 'v1beta1',
  resource: 'datavolumes',
  subresource: 'source',
} as const

/** Asks `authorizer` about the user's own rights in the other namespace, whatever is there (security.md, B7 and K4). */
export function buildForeignUses(authorizer: Authorizer): ForeignUses {
  return (user, signal) => async (use) => {
    const [wanted, ...others] = rightsFor(use)
    for (const attributes of [wanted, ...others]) {
      if ((await authorizer.review(user, attributes, signal)).allowed) return
    }
    throw refusal(user, use, wanted)
  }
}

/** Any of these is enough. The first is the one to ask an administrator for. */
function rightsFor(use: ForeignUse): [ResourceAttributes, ...ResourceAttributes[]] {
  const { namespace, name, purpose } = use
  const place = { namespace, name }
  if (purpose === 'clone') return [{ ...CLONE, ...place }]
  const { group, version, plural } = purpose === 'read' ? use.kind : NETWORK_ATTACHMENTS
  const get: ResourceAttributes = {
    kind: 'resource',
    verb: 'get',
    group,
    version,
    resource: plural,
    ...place,
  }
  return purpose === 'read' ? [get, { ...CLONE, ...place }] : [get]
}

function refusal(
  user: User,
  { field, namespace, name }: ForeignUse,
  wanted: ResourceAttributes,
): StatusError {
  const what = `${JSON.stringify(name)} of the namespace ${JSON.stringify(namespace)}`
  const said = field ? `${field} names ${what}` : `this takes ${what}`
  const missing = `${describeDenied(user, wanted)}: name what stands in the own namespace, or ask for that right`
  return new StatusError(403, 'Forbidden', `${said}: ${missing}`)
}
