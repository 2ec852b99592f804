/** What is wrong with a ResourceQuota by itself. Source: `ValidateResourceQuota` of Kubernetes. */
import type { ResourceQuota, ScopeRequirement } from '../kinds/quota.ts'
import { forbiddenValue, invalidValue, requiredValue, unsupportedValue } from '../lib/causes.ts'
import type { Cause } from '../lib/errors.ts'
import { FieldPath } from '../lib/field-path.ts'
import { isSameJson } from '../lib/json.ts'
import { checkQualifiedName } from '../lib/names.ts'
import { isQuantity, quantityToNano, type QuantityText } from '../lib/quantity.ts'
import { ONE } from './amounts.ts'

const SPEC = new FieldPath('spec')

const COMPUTE = ['cpu', 'memory', 'ephemeral-storage', 'requests.cpu', 'requests.memory', 'limits.cpu']
COMPUTE.push('limits.memory', 'requests.ephemeral-storage', 'limits.ephemeral-storage')

const OBJECTS = ['pods', 'services', 'replicationcontrollers', 'resourcequotas', 'secrets', 'configmaps']
OBJECTS.push('persistentvolumeclaims', 'services.nodeports', 'services.loadbalancers')

/** Names that need no domain before them. */
const STANDARD = new Set([...COMPUTE, ...OBJECTS, 'requests.storage'])

const VALUED = ['PriorityClass', 'VolumeAttributesClass']
const SCOPES = [...VALUED, 'Terminating', 'NotTerminating', 'BestEffort', 'NotBestEffort']
SCOPES.push('CrossNamespacePodAffinity')

const OPPOSITES = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
]

/** What is wrong; `before` is the quota that an update would replace: its scopes stay as they are. */
export function* quotaFaults(quota: ResourceQuota, before: ResourceQuota | undefined): Iterable<Cause> {
  const { hard = {}, scopes = [], scopeSelector } = quota.spec ?? {}
  for (const [name, amount] of Object.entries(hard)) yield* hardFaults(name, amount)
  yield* scopeFaults(scopes, Object.keys(hard))
  const expressions = scopeSelector?.matchExpressions ?? []
  for (const [index, expression] of expressions.entries()) yield* expressionFaults(expression, index)
  if (!before) return
  for (const field of ['scopes', 'scopeSelector'] as const) {
    if (isSameJson(quota.spec?.[field] ?? [], before.spec?.[field] ?? [])) continue
    yield invalidValue(
      SPEC.child(field),
      'Invalid value: field is immutable: delete the quota and create it anew',
    )
  }
}

function* hardFaults(name: string, amount: QuantityText): Iterable<Cause> {
  const at = SPEC.child('hard').key(name)
  for (const problem of checkQualifiedName(name))
    yield invalidValue(at, `Invalid value: "${name}": ${problem}`)
  if (!name.includes('/') && !STANDARD.has(name) && !/^(requests\.)?hugepages-/.test(name)) {
    yield invalidValue(at, `Invalid value: "${name}": must be a standard resource for quota`)
  }
  if (!isQuantity(amount)) return
  const nano = quantityToNano(amount)
  if (nano < 0n) yield invalidValue(at, `Invalid value: "${amount}": must be greater than or equal to 0`)
  if (isWhole(name) && nano % ONE !== 0n)
    yield invalidValue(at, `Invalid value: "${amount}": must be an integer`)
}

/** Whether there are only whole ones of it. */
function isWhole(name: string): boolean {
  return name.startsWith('count/') || OBJECTS.includes(name) || name.endsWith('/persistentvolumeclaims')
}

function* scopeFaults(scopes: readonly string[], hard: readonly string[]): Iterable<Cause> {
  const at = SPEC.child('scopes')
  for (const scope of scopes) {
    if (!SCOPES.includes(scope)) yield invalidValue(at, `Invalid value: "${scope}": unsupported scope`)
    for (const name of hard) {
      if (fits(scope, name)) continue
      yield invalidValue(at, `Invalid value: "${scope}": unsupported scope applied to resource ${name}`)
    }
  }
  for (const pair of OPPOSITES) {
    if (pair.every((scope) => scopes.includes(scope))) {
      yield invalidValue(at, `Invalid value: ["${pair.join('","')}"]: conflicting scopes`)
    }
  }
}

/** Whether a scope says anything about what is counted under a standard name. */
function fits(scope: string, name: string): boolean {
  if (!STANDARD.has(name)) return true
  if (scope === 'VolumeAttributesClass') return ['persistentvolumeclaims', 'requests.storage'].includes(name)
  if (name === 'pods') return true
  return scope !== 'BestEffort' && COMPUTE.includes(name)
}

function* expressionFaults(
  { scopeName, operator, values = [] }: ScopeRequirement,
  index: number,
): Iterable<Cause> {
  const at = SPEC.child('scopeSelector', 'matchExpressions').index(index)
  if (!SCOPES.includes(scopeName)) {
    yield invalidValue(at.child('scopeName'), `Invalid value: "${scopeName}": unsupported scope`)
  }
  if (!VALUED.includes(scopeName) && operator !== 'Exists') {
    yield invalidValue(
      at.child('operator'),
      `Invalid value: "${operator}": must be 'Exists' when scope is ${scopeName}`,
    )
  }
  switch (operator) {
    case 'In':
    case 'NotIn':
      if (values.length > 0) return
      yield requiredValue(
        at.child('values'),
        "Required value: must be at least one value when `operator` is 'In' or 'NotIn'",
      )
      return
    case 'Exists':
    case 'DoesNotExist':
      if (values.length === 0) return
      yield forbiddenValue(
        at.child('values'),
        "Forbidden: must be no value when `operator` is 'Exists' or 'DoesNotExist'",
      )
      return
    default:
      yield unsupportedValue(
        at.child('operator'),
        `Unsupported value: "${operator}": use In, NotIn, Exists or DoesNotExist`,
      )
  }
}
