import type { ReviewKind } from '../../auth/review-kind.ts'
import type { Kind } from '../../kinds/kind.ts'
import { STATUS_VERBS, verbsOf } from '../http/endpoints.ts'

/** One line of discovery. Source: `metav1.APIResource`. */
export interface ApiResource {
  /** Plural, or plural and subresource with a slash between. */
  name: string
  /** Empty for subresources. */
  singularName: string
  namespaced: boolean
  /** Of the kind, where they are not those of the list. */
  group?: string
  version?: string
  kind: string
  verbs: readonly string[]
  shortNames?: readonly string[]
  categories?: readonly string[]
}

/** What one version of one group serves. */
export interface GroupVersionResources {
  /** Empty for the core group. */
  group: string
  version: string
  resources: readonly ApiResource[]
}

/** One version of a group that somebody else serves at this port. */
export interface ExtraGroup extends GroupVersionResources {
  /** Its OpenAPI v3 document. */
  openApi?: unknown
}

/** The subresource that gives out tokens; it stands beside the kinds, for its own kind is of another group. */
const TOKEN: ApiResource = {
  name: 'serviceaccounts/token',
  singularName: '',
  namespaced: true,
  group: 'authentication.k8s.io',
  version: 'v1',
  kind: 'TokenRequest',
  verbs: ['create'],
}

/** Everything that is served, group by group in the order of the kinds; `extra` comes last. */
export function buildResources(
  kinds: readonly Kind[],
  reviews: readonly ReviewKind[],
  extra: readonly ExtraGroup[],
): GroupVersionResources[] {
  const found = new Map<string, { group: string; version: string; resources: ApiResource[] }>()
  const add = ({ group, version }: { group: string; version: string }, resources: readonly ApiResource[]) => {
    const key = `${group}/${version}`
    const entry = found.get(key) ?? { group, version, resources: [] }
    entry.resources.push(...resources)
    found.set(key, entry)
  }
  for (const kind of kinds) add(kind, resourcesOf(kind))
  for (const review of reviews) add(review, [resourceOfReview(review)])
  for (const one of extra) add(one, one.resources)
  return [...found.values()]
}

function resourcesOf(kind: Kind): ApiResource[] {
  const { plural, singular, namespaced, shortNames, categories } = kind
  const resource: ApiResource = {
    name: plural,
    singularName: singular,
    namespaced,
    kind: kind.kind,
    verbs: verbsOf(kind),
    ...(shortNames && { shortNames }),
    ...(categories && { categories }),
  }
  const status = {
    name: `${plural}/status`,
    singularName: '',
    namespaced,
    kind: kind.kind,
    verbs: STATUS_VERBS,
  }
  const isAccount = kind.group === '' && plural === 'serviceaccounts'
  return [resource, ...(kind.hasStatus ? [status] : []), ...(isAccount ? [TOKEN] : [])]
}

function resourceOfReview({ plural, namespaced, kind, verbs }: ReviewKind): ApiResource {
  return { name: plural, singularName: kind.toLowerCase(), namespaced, kind, verbs }
}
