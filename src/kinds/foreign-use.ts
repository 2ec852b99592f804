/** What an object names in other namespaces than its own, and whether somebody may use it there. Source: security.md, B7. */
import type { Kind } from './kind.ts'
import type { VmiSpec } from './kubevirt.ts'
import { attachmentKeyOf } from './network-attachment.ts'

/**
 * Something of another namespace, and what is to be done with it: `clone` fills a DataVolume with its data, `attach` makes
 * a guest part of a network, `read` looks at an object of that kind. `field` is where the caller names it.
 */
export type ForeignUse = { namespace: string; name: string; field?: string } & (
  | { purpose: 'clone' | 'attach' }
  | { purpose: 'read'; kind: Kind }
)

/** Passes where a certain caller may; throws 403 where not, and 503 where that cannot be found out. */
export type MayUse = (use: ForeignUse) => Promise<void>

/** Where objects are looked at that nobody guards, such as files. */
export const mayUseAll: MayUse = async () => {}

/** The networks of other namespaces that a guest in `namespace` is to be part of. `field` is the path of its spec. */
export function foreignNetworksOf(
  spec: Pick<VmiSpec, 'networks'> | undefined,
  namespace: string,
  field: string,
): ForeignUse[] {
  return (spec?.networks ?? []).flatMap(({ multus }, position): ForeignUse[] => {
    if (!multus?.networkName) return []
    const place = attachmentKeyOf(multus.networkName, namespace)
    if (place.namespace === namespace) return []
    return [{ purpose: 'attach', ...place, field: `${field}.networks[${position}].multus.networkName` }]
  })
}
