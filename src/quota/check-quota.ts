/** What is wrong with a ResourceQuota by itself. Source: `ValidateResourceQuota` of Kubernetes. */
import type { ResourceQuota, ScopeRequirement } from '../kinds/quota.ts'
import { addAll, forbiddenValue, invalidValue, requiredValue, unsupportedValue } from '../lib/causes.ts'
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
export function quotaFaults(quota: ResourceQuota, before: ResourceQuota | undefined): Cause[] {
  const { hard = {}, scopes = [], scopeSelector } = quota.spec ?? {}
  const causes: Cause[] = []
  for (const [name, amount] of Object.entries(hard)) addAll(causes, hardFaults(name, amount))
  addAll(causes, scopeFaults(scopes, Object.keys(hard)))
  const expressions = scopeSelector?.matchExpressions ?? []
  for (const [index, expression] of expressions.entries()) addAll(causes, expressionFaults(expression, index))
  if (!before) return causes
  for (const field of ['scopes', 'scopeSelector'] as const) {
    if (isSameJson(quota.spec?.[field] ?? [], before.spec?.[field] ?? [])) continue
    causes.push(
      invalidValue(
        SPEC.child(field),
        'Invalid value: field is immutable: delete the quota and create it anew',
      ),
    )
  }
  return causes
}

function hardFaults(name: string, amount: QuantityText): Cause[] {
  const at = SPEC.child('hard').key(name)
  const causes: Cause[] = []
  for (const problem of checkQualifiedName(name))
    causes.push(invalidValue(at, `Invalid value: "${name}": ${problem}`))
  if (!name.includes('/') && !STANDARD.has(name) && !/^(requests\.)?hugepages-/.test(name)) {
    causes.push(invalidValue(at, `Invalid value: "${name}": must be a standard resource for quota`))
  }
  if (!isQuantity(amount)) return causes
  const nano = quantityToNano(amount)
  if (nano < 0n)
    causes.push(invalidValue(at, `Invalid value: "${amount}": must be greater than or equal to 0`))
  if (isWhole(name) && nano % ONE !== 0n)
    causes.push(invalidValue(at, `Invalid value: "${amount}": must be an integer`))
  return causes
}

/** Whether there are only whole ones of it. */
function isWhole(name: string): boolean {
  return name.startsWith('count/') || OBJECTS.includes(name) || name.endsWith('/persistentvolumeclaims')
}

function scopeFaults(scopes: readonly string[], hard: readonly string[]): Cause[] {
  const at = SPEC.child('scopes')
  const causes: Cause[] = []
  for (const scope of scopes) {
    if (!SCOPES.includes(scope)) causes.push(invalidValue(at, `Invalid value: "${scope}": unsupported scope`))
    for (const name of hard) {
      if (fits(scope, name)) continue
      causes.push(
        invalidValue(at, `Invalid value: "${scope}": unsupported scope applied to resource ${name}`),
      )
    }
  }
  for (const pair of OPPOSITES) {
    if (pair.every((scope) => scopes.includes(scope))) {
      causes.push(invalidValue(at, `Invalid value: ["${pair.join('","')}"]: conflicting scopes`))
    }
  }
  return causes
}

/** Whether a scope says anything about what is counted under a standard name. */
function fits(scope: string, name: string): boolean {
  if (!STANDARD.has(name)) return true
  if (scope === 'VolumeAttributesClass') return ['persistentvolumeclaims', 'requests.storage'].includes(name)
  if (name === 'pods') return true
  return scope !== 'BestEffort' && COMPUTE.includes(name)
}

function expressionFaults({ scopeName, operator, values = [] }: ScopeRequirement, index: number): Cause[] {
  const at = SPEC.child('scopeSelector', 'matchExpressions').index(index)
  const causes: Cause[] = []
  if (!SCOPES.includes(scopeName)) {
    causes.push(invalidValue(at.child('scopeName'), `Invalid value: "${scopeName}": unsupported scope`))
  }
  if (!VALUED.includes(scopeName) && operator !== 'Exists') {
    causes.push(
      invalidValue(
        at.child('operator'),
        `Invalid value: "${operator}": must be 'Exists' when scope is ${scopeName}`,
      ),
    )
  }
  switch (operator) {
    case 'In':
    case 'NotIn':
      if (values.length > 0) return causes
      causes.push(
        requiredValue(
          at.child('values'),
          "Required value: must be at least one value when `operator` is 'In' or 'NotIn'",
        ),
      )
      return causes
    case 'Exists':
    case 'DoesNotExist':
      if (values.length === 0) return causes
      causes.push(
        forbiddenValue(
          at.child('values'),
          "Forbidden: must be no value when `operator` is 'Exists' or 'DoesNotExist'",
        ),
      )
      return causes
    default:
      causes.push(
        unsupportedValue(
          at.child('operator'),
          `Unsupported value: "${operator}": use In, NotIn, Exists or DoesNotExist`,
        ),
      )
  }
  return causes
}
