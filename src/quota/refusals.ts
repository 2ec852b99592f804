/** Refusals in Kubernetes' own words, which clients look for. Source: `plugin/pkg/admission/resourcequota`. */
import { forbidden, StatusError, type RefusedKind } from '../lib/errors.ts'
import { printAmounts, type Amounts } from './amounts.ts'

/** A quota that has no room. */
export interface Excess {
  quota: string
  /** What there is too little of. */
  names: readonly string[]
  requested: Amounts
  used: Amounts
  hard: Amounts
}

/** 403: there is no room for it. */
export function exceeded(
  resource: string,
  name: string,
  { quota, names, requested, used, hard }: Excess,
): StatusError {
  const parts = [
    `exceeded quota: ${quota}`,
    `requested: ${printAmounts(names, requested)}`,
    `used: ${printAmounts(names, used)}`,
    `limited: ${printAmounts(names, hard)}`,
  ]
  return forbidden(kindOf(resource), name, parts.join(', '))
}

/** 403: the quota counts what the guest does not say. */
export function unspecified(
  resource: string,
  name: string,
  quota: string,
  names: readonly string[],
): StatusError {
  const text = names.map((one) => `${one} for: ${name}`).join('; ')
  const { code, reason, message, details } = forbidden(
    kindOf(resource),
    name,
    `failed quota: ${quota}: must specify ${text}`,
  )
  const causes = names.map((one) => ({
    reason: 'FieldValueRequired',
    field: fieldOf(one),
    message: `the quota ${quota} counts ${one}: say it, or give the namespace a LimitRange with a default for it`,
  }))
  return new StatusError(code, reason, message, { ...details, causes })
}

/** 403: a LimitRange does not allow it. Several reasons are told together, as Kubernetes does. */
export function outOfBounds(resource: string, name: string, reasons: readonly string[]): StatusError {
  const text = reasons.length === 1 ? `${reasons[0]}` : `[${reasons.join(', ')}]`
  return forbidden(kindOf(resource), name, text)
}

function fieldOf(name: string): string {
  const [list, plain] = name.startsWith('limits.')
    ? ['limits', name.slice('limits.'.length)]
    : ['requests', name.replace(/^requests\./, '')]
  return `spec.domain.resources.${list}.${plain}`
}

/** The kind that quotas call `virtualmachines.kubevirt.io`. */
function kindOf(resource: string): RefusedKind {
  const dot = resource.indexOf('.')
  return dot < 0
    ? { group: '', kind: resource }
    : { group: resource.slice(dot + 1), kind: resource.slice(0, dot) }
}
