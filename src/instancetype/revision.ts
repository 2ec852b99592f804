/** Instance types and preferences as they were when a VM first used them, kept in ControllerRevisions. */
import { createHash } from 'node:crypto'
import type { ControllerRevision } from '../kinds/core.ts'
import type { Instancetype, Preference } from '../kinds/instancetype.ts'
import { apiVersionOf } from '../kinds/kind.ts'
import type { Vm } from '../kinds/kubevirt.ts'
import type { Draft, OwnerReference } from '../kinds/meta.ts'
import { CONTROLLER_REVISIONS } from '../kinds/table.ts'
import { isRecord } from '../lib/json.ts'
import type { Referable } from './references.ts'

/** Labels that say what a revision holds. Source: the constants of `instancetype.kubevirt.io`. */
export const OBJECT_NAME_LABEL = 'instancetype.kubevirt.io/object-name'
const OBJECT_KIND_LABEL = 'instancetype.kubevirt.io/object-kind'
const OBJECT_UID_LABEL = 'instancetype.kubevirt.io/object-uid'
const OBJECT_VERSION_LABEL = 'instancetype.kubevirt.io/object-version'
const OBJECT_GENERATION_LABEL = 'instancetype.kubevirt.io/object-generation'

const GROUP = 'instancetype.kubevirt.io'
/** Every version so far; each later one has more members and the same meaning of those before. */
const VERSIONS = ['v1alpha1', 'v1alpha2', 'v1beta1', 'v1']
const LONGEST_NAME = 253

/** The ControllerRevision that keeps an instance type or a preference for a VM. */
export function buildReferenceRevision(
  { metadata }: Vm,
  object: Instancetype | Preference,
  owner: OwnerReference,
): Draft<ControllerRevision> {
  const { name, uid, generation = 1 } = object.metadata
  const version = object.apiVersion.split('/').at(-1) ?? ''
  return {
    apiVersion: apiVersionOf(CONTROLLER_REVISIONS),
    kind: CONTROLLER_REVISIONS.kind,
    metadata: {
      namespace: metadata.namespace,
      name: fitName([metadata.name, name, version, uid, generation].join('-')),
      labels: {
        [OBJECT_NAME_LABEL]: name,
        [OBJECT_KIND_LABEL]: object.kind,
        [OBJECT_UID_LABEL]: uid,
        [OBJECT_VERSION_LABEL]: version,
        [OBJECT_GENERATION_LABEL]: String(generation),
      },
      ownerReferences: [owner],
    },
    data: { ...object, metadata: { name, uid, generation, ...namespaceOf(object) } },
    revision: 0,
  }
}

function namespaceOf({ metadata: { namespace } }: Instancetype | Preference): { namespace?: string } {
  return namespace === undefined ? {} : { namespace }
}

/** Names of VMs and instance types may each be as long as a name can be. */
function fitName(name: string): string {
  if (name.length <= LONGEST_NAME) return name
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 16)
  return `${name.slice(0, LONGEST_NAME - 17)}-${hash}`
}

/** The spec that a revision holds; `undefined` where it holds something else. */
export function specInRevision<T extends Instancetype | Preference>(
  { data }: ControllerRevision,
  { namespaced, cluster }: Referable<T>,
): T['spec'] | undefined {
  if (!isRecord(data)) return undefined
  const { apiVersion, kind, spec } = data
  if (!VERSIONS.some((version) => apiVersion === `${GROUP}/${version}`)) return undefined
  // Revisions of v1alpha1 hold the spec alone, as base64.
  const decoded = kind === undefined && typeof spec === 'string' ? decode(spec) : spec
  if (kind !== undefined && kind !== namespaced.kind && kind !== cluster.kind) return undefined
  return isRecord(decoded) ? decoded : undefined
}

function decode(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64').toString())
  } catch {
    // Revisions are written by whoever may: this one holds nothing of ours.
    return undefined
  }
}
