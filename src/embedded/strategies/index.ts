/** Kinds that need more than what all kinds get, in the order of the table of kinds. */
import type { Kind } from '../../kinds/kind.ts'
import * as table from '../../kinds/table.ts'
import { invalidValue } from '../../lib/causes.ts'
import { isRecord, isSameJson } from '../../lib/json.ts'
import { checkPathSegment } from '../../lib/names.ts'
import { kindKey } from '../../store/sqlite/rows.ts'
import { configMapStrategy, secretStrategy } from './config-data.ts'
import { eventStrategy } from './events.ts'
import { namespaceStrategy } from './namespaces.ts'
import { limitRangeStrategy, quotaStrategy } from './quotas.ts'
import type { Strategy } from './strategy.ts'

const rbac: Strategy = { checkName: checkPathSegment }

const nodes: Strategy = {
  selectableFields: {
    'spec.unschedulable': ({ spec }) => (isRecord(spec) ? (spec.unschedulable ?? false) : false),
  },
}

const claims: Strategy = {
  prepareCreate(object) {
    object.status = { phase: 'Pending' }
    if (isRecord(object.spec)) object.spec.volumeMode ??= 'Filesystem'
  },
}

const priorityClasses: Strategy = {
  prepareCreate(object) {
    object.preemptionPolicy ??= 'PreemptLowerPriority'
  },
}

const revisions: Strategy = {
  check(object, current) {
    return current && !isSameJson(object.data, current.data)
      ? [invalidValue('data', 'Invalid value: field is immutable')]
      : []
  },
}

const STRATEGIES: readonly [Kind, Strategy][] = [
  [table.NAMESPACES, namespaceStrategy],
  [table.SECRETS, secretStrategy],
  [table.CONFIGMAPS, configMapStrategy],
  [table.EVENTS, eventStrategy],
  [table.NODES, nodes],
  [table.PVCS, claims],
  [table.RESOURCE_QUOTAS, quotaStrategy],
  [table.LIMIT_RANGES, limitRangeStrategy],
  [table.PRIORITY_CLASSES, priorityClasses],
  [table.ROLES, rbac],
  [table.CLUSTER_ROLES, rbac],
  [table.ROLE_BINDINGS, rbac],
  [table.CLUSTER_ROLE_BINDINGS, rbac],
  [table.CONTROLLER_REVISIONS, revisions],
]

const NOTHING: Strategy = {}
const byKey = new Map(STRATEGIES.map(([kind, strategy]) => [kindKey(kind), strategy]))

/** What is done for a kind beyond what is done for all. */
export function strategyOf(kind: Pick<Kind, 'plural' | 'group'>): Strategy {
  return byKey.get(kindKey(kind)) ?? NOTHING
}
