/** What objects name in other namespaces than their own, and whether who writes them may use it. Source: security.md, B7. */
import { reviewClone, type DataVolumeTemplate } from '../instancetype/clone-sources.ts'
import { foreignNetworksOf, type ForeignUse, type MayUse } from '../kinds/foreign-use.ts'
import type { VmiSpec, VmSpec } from '../kinds/kubevirt.ts'
import { badRequest } from '../lib/errors.ts'
import { isSameJson } from '../lib/json.ts'
import type { ObjectReader } from '../store/store.ts'
import type { AdmissionRequest } from './admission.ts'

/** What of an object may lead into another namespace. Paths are where clients find it. */
export interface ForeignNames {
  networks: ForeignUse[]
  dataVolumes: { template: DataVolumeTemplate; field: string }[]
}

/** Whoever needs more than that many things of other namespaces is asking us to ask. */
const MOST_USES = 64

/** What a guest names; `field` is the path of its spec. */
export function namedByGuest(spec: VmiSpec | undefined, namespace: string, field: string): ForeignNames {
  return { networks: foreignNetworksOf(spec, namespace, field), dataVolumes: [] }
}

/** What a VM names; `field` is the path of its spec. */
export function namedByVm(spec: VmSpec | undefined, namespace: string, field: string): ForeignNames {
  return {
    networks: foreignNetworksOf(spec?.template?.spec, namespace, `${field}.template.spec`),
    dataVolumes: (spec?.dataVolumeTemplates ?? []).map((template, position) => ({
      template,
      field: `${field}.dataVolumeTemplates[${position}].spec`,
    })),
  }
}

/**
 * Asks whether who writes an object may use all that it names in other namespaces, but for what it named before. Throws
 * what `mayUse` throws, and 400 where that is too much.
 */
export async function reviewForeignNames(
  namesOf: (object: AdmissionRequest['object'], namespace: string) => ForeignNames,
  { object, old, namespace }: AdmissionRequest,
  reader: ObjectReader,
  mayUse: MayUse,
): Promise<void> {
  const now = namesOf(object, namespace)
  const before = old && namesOf(old, namespace)
  const ask = askOnce(mayUse)
  for (const network of now.networks) {
    if (
      !before?.networks.some(({ namespace: at, name }) => at === network.namespace && name === network.name)
    )
      await ask(network)
  }
  for (const { template, field } of now.dataVolumes) {
    if (!before?.dataVolumes.some((other) => isSameJson(other.template, template)))
      await reviewClone(reader, namespace, template, field, ask)
  }
}

/** Each thing is asked for once, and not more than so many. */
function askOnce(mayUse: MayUse): MayUse {
  const asked = new Set<string>()
  return async (use) => {
    const { purpose, namespace, name } = use
    const key = JSON.stringify([purpose, namespace, name])
    if (asked.has(key)) return
    if (asked.size === MOST_USES)
      throw badRequest(`more than ${MOST_USES} things of other namespaces are named: name fewer`)
    asked.add(key)
    await mayUse(use)
  }
}
