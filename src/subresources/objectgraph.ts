import { hasGate } from '../kinds/configuration.ts'
import { VMIS, VMS } from '../kinds/table.ts'
import { badRequest } from '../lib/errors.ts'
import { decodeOptions, type OptionFields } from './body.ts'
import { getVm, getVmi } from './lookup.ts'
import { buildVmGraph, buildVmiGraph } from './object-graph.ts'
import { filterGraph, readLabelSelector, type GraphFilter } from './object-graph-filter.ts'
import type { GraphNode } from './object-graph-nodes.ts'
import type { Call, Query } from './subresource.ts'

const FIELDS = { includeOptionalNodes: 'boolean', labelSelector: 'object' } as const satisfies OptionFields
const GATE = 'ObjectGraph'

const COMMON = {
  type: 'query',
  name: 'objectgraph',
  method: 'GET',
  verb: 'get',
  kind: 'ObjectGraphNode',
  fields: FIELDS,
  parameters: {
    includeOptionalNodes: {
      type: 'boolean',
      description: 'Whether to list what a VM can do without, such as its instance type. True by default.',
    },
    labelSelector: {
      type: 'string',
      description:
        'Restricts the graph to nodes with these labels, such as kubevirt.io/dependency-type=storage.',
    },
  },
} as const

/** Everything that a VM depends on. Source: contract 3.13. */
export const vmObjectGraph: Query = {
  ...COMMON,
  resource: VMS,
  description: 'Get the objects that a VirtualMachine depends on.',
  async run(call) {
    await requireGate(call)
    const vm = await getVm(call)
    const filter = readFilter(call)
    return filterGraph(await buildVmGraph(call.store, vm), filter)
  },
}

/** Everything that a VMI depends on. Source: contract 3.13. */
export const vmiObjectGraph: Query = {
  ...COMMON,
  resource: VMIS,
  description: 'Get the objects that a VirtualMachineInstance depends on.',
  async run(call): Promise<GraphNode> {
    await requireGate(call)
    const vmi = await getVmi(call)
    const filter = readFilter(call)
    return filterGraph(await buildVmiGraph(call.store, vmi), filter)
  },
}

async function requireGate({ configuration }: Call): Promise<void> {
  if (hasGate(await configuration(), GATE)) return
  throw badRequest(
    `the feature gate ${GATE} is off: list it in spec.configuration.developerConfiguration.featureGates of the KubeVirt object`,
  )
}

/** What the body says, and the query where it says nothing: some proxies drop a body on GET. */
function readFilter({ body, query }: Call): GraphFilter {
  const { includeOptionalNodes, labelSelector } = decodeOptions(body, FIELDS)
  return {
    includeOptionalNodes: includeOptionalNodes ?? readBoolean(query['includeOptionalNodes']) ?? true,
    selector: labelSelector ? readLabelSelector(labelSelector) : query['labelSelector'],
  }
}

function readBoolean(text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined
  if (text === 'true' || text === 'false') return text === 'true'
  throw badRequest(`the query parameter includeOptionalNodes is "${text}": it must be true or false`)
}
