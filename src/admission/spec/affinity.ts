import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { addAll, invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { checkDns1123Label, checkDns1123Subdomain, checkQualifiedName } from '../../lib/names.ts'
import { textOrEmpty } from './rule.ts'
import { all, labelSelectorIsSound } from './selectors.ts'

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution'
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution'

type Affinity = NonNullable<VmiSpec['affinity']>
type PodAffinity = NonNullable<Affinity['podAffinity']>
type PodTerm = NonNullable<PodAffinity[typeof REQUIRED]>[number]
type NodeTerm = NonNullable<
  NonNullable<Affinity['nodeAffinity']>[typeof REQUIRED]
>['nodeSelectorTerms'][number]
/** Its operator may be any text: it is checked here. */
interface Requirement {
  key?: string
  operator?: string
  values?: string[]
}

/** What draws a guest to nodes can be understood. The contract's paths lack `affinity`. Contract: VMI-AFF-001 … 024. */
export function affinityIsSound({ affinity }: VmiSpec, at: FieldPath): Cause[] {
  if (!affinity) return []
  const causes: Cause[] = []
  if (affinity.nodeAffinity)
    addAll(causes, nodeAffinityIsSound(affinity.nodeAffinity, at.child('nodeAffinity')))
  for (const name of ['podAffinity', 'podAntiAffinity'] as const) {
    const rules = affinity[name]
    if (rules) addAll(causes, podAffinityIsSound(rules, at.child(name)))
  }
  return causes
}

function nodeAffinityIsSound(rules: NonNullable<Affinity['nodeAffinity']>, at: FieldPath): Cause[] {
  const required = rules[REQUIRED]
  const causes: Cause[] = []
  if (required) {
    const field = at.child(REQUIRED, 'nodeSelectorTerms')
    const terms = required.nodeSelectorTerms ?? []
    if (terms.length === 0) causes.push(invalidValue(field, 'needs at least one term'))
    for (const [position, term] of terms.entries())
      addAll(causes, nodeTermIsSound(term, field.index(position)))
  }
  for (const [position, { weight, preference }] of (rules[PREFERRED] ?? []).entries()) {
    const field = at.child(PREFERRED).index(position)
    addAll(causes, weightIsKnown(weight, field))
    addAll(causes, nodeTermIsSound(preference, field.child('preference')))
  }
  return causes
}

function podAffinityIsSound(rules: PodAffinity, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  for (const [position, term] of (rules[REQUIRED] ?? []).entries()) {
    addAll(causes, podTermIsSound(term, at.child(REQUIRED).index(position)))
  }
  for (const [position, { weight, podAffinityTerm }] of (rules[PREFERRED] ?? []).entries()) {
    const field = at.child(PREFERRED).index(position)
    addAll(causes, weightIsKnown(weight, field))
    addAll(causes, podTermIsSound(podAffinityTerm, field.child('podAffinityTerm')))
  }
  return causes
}

function weightIsKnown(weight: number | undefined, at: FieldPath): Cause[] {
  return weight === undefined || weight < 1 || weight > 100
    ? [invalidValue(at.child('weight'), `the weight is ${weight ?? 0} and must be from 1 to 100`)]
    : []
}

/** Contract: VMI-AFF-010 … 018. */
function nodeTermIsSound({ matchExpressions = [], matchFields = [] }: NodeTerm, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  for (const [position, requirement] of matchExpressions.entries()) {
    const field = at.child('matchExpressions').index(position)
    addAll(causes, expressionIsSound(requirement, field))
    addAll(causes, all(checkQualifiedName(textOrEmpty(requirement.key)), field.child('key'), requirement.key))
  }
  for (const [position, requirement] of matchFields.entries()) {
    addAll(causes, fieldIsSound(requirement, at.child('matchFields').index(position)))
  }
  return causes
}

/** How many values each operator takes. */
const COUNTS: Record<string, { fits: (count: number) => boolean; text: string }> = {
  In: { fits: (count) => count > 0, text: 'needs values' },
  NotIn: { fits: (count) => count > 0, text: 'needs values' },
  Exists: { fits: (count) => count === 0, text: 'takes no values' },
  DoesNotExist: { fits: (count) => count === 0, text: 'takes no values' },
  Gt: { fits: (count) => count === 1, text: 'takes one value' },
  Lt: { fits: (count) => count === 1, text: 'takes one value' },
}

function expressionIsSound({ operator = '', values = [] }: Requirement, at: FieldPath): Cause[] {
  const rule = Object.hasOwn(COUNTS, operator) ? COUNTS[operator] : undefined
  if (!rule)
    return [invalidValue(at.child('operator'), `"${operator}" is none of ${Object.keys(COUNTS).join(', ')}`)]
  if (!rule.fits(values.length)) return [invalidValue(at.child('values'), `${operator} ${rule.text}`)]
  return []
}

function fieldIsSound({ key = '', operator = '', values = [] }: Requirement, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  if (operator !== 'In' && operator !== 'NotIn') {
    causes.push(invalidValue(at.child('operator'), `"${operator}" is neither In nor NotIn`))
  } else if (values.length !== 1)
    causes.push(invalidValue(at.child('values'), `${operator} takes one value here`))
  if (key !== 'metadata.name') causes.push(invalidValue(at.child('key'), `"${key}" must be metadata.name`))
  else {
    for (const [index, value] of values.entries()) {
      addAll(causes, all(checkDns1123Subdomain(value), at.child('values').index(index), value))
    }
  }
  return causes
}

/** Contract: VMI-AFF-020 … 024. */
function podTermIsSound(term: PodTerm, at: FieldPath): Cause[] {
  const { labelSelector, namespaceSelector, namespaces = [] } = term
  const topologyKey = textOrEmpty(term.topologyKey)
  const causes: Cause[] = []
  addAll(causes, labelSelectorIsSound(labelSelector, at.child('labelSelector')))
  addAll(causes, labelSelectorIsSound(namespaceSelector, at.child('namespaceSelector')))
  for (const name of namespaces) addAll(causes, all(checkDns1123Label(name), at.child('namespace'), name))
  const field = at.child('topologyKey')
  if (topologyKey === '') causes.push(invalidValue(field, 'say which label of nodes counts as a place'))
  addAll(causes, all(checkQualifiedName(topologyKey), field, topologyKey))
  return causes
}

const UNSATISFIABLE = ['DoNotSchedule', 'ScheduleAnyway']

/** How guests are spread can be understood. Contract: VMI-TSC-001 … 006. */
export function spreadIsSound({ topologySpreadConstraints = [] }: VmiSpec, at: FieldPath): Cause[] {
  const constraints = at.child('topologySpreadConstraints')
  const causes: Cause[] = []
  for (const [position, constraint] of topologySpreadConstraints.entries()) {
    const field = constraints.index(position)
    const { labelSelector } = constraint
    const topologyKey = textOrEmpty(constraint.topologyKey)
    const whenUnsatisfiable = textOrEmpty(constraint.whenUnsatisfiable)
    const { maxSkew } = constraint
    if (!(maxSkew > 0))
      causes.push(invalidValue(field.child('maxSkew'), `${maxSkew} is too little: at least 1`))
    if (topologyKey === '')
      causes.push(invalidValue(field.child('topologyKey'), 'say which label counts as a place'))
    else addAll(causes, all(checkQualifiedName(topologyKey), field.child('topologyKey'), topologyKey))
    if (!UNSATISFIABLE.includes(whenUnsatisfiable)) {
      const known = UNSATISFIABLE.join(' nor ')
      causes.push(
        invalidValue(field.child('whenUnsatisfiable'), `"${whenUnsatisfiable}" is neither ${known}`),
      )
    }
    addAll(causes, labelSelectorIsSound(labelSelector, constraints.child('labelSelector')))
    const isRepeated = topologySpreadConstraints
      .slice(position + 1)
      .some(
        (later) =>
          later.topologyKey === constraint.topologyKey &&
          later.whenUnsatisfiable === constraint.whenUnsatisfiable,
      )
    if (isRepeated) {
      causes.push(
        invalidValue(
          field.child('{topologyKey, whenUnsatisfiable}'),
          'a later constraint says the same twice',
        ),
      )
    }
  }
  return causes
}
