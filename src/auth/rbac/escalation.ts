/**
 * What a user would grant without holding it.
 * Source: `pkg/registry/rbac/validation/rule.go` and `policy_comparator.go` of Kubernetes.
 */
import type { PolicyRule } from '../../kinds/core.ts'
import type { User } from '../access.ts'
import { MASTERS } from '../names.ts'
import { includes, pathMatches } from './rules.ts'
import { grantsOf, type RbacSource } from './source.ts'

/** One right: a rule with one entry in each list. */
type Right =
  | { verb: string; group: string; resource: string; name: string | undefined }
  | { verb: string; path: string }

/** Every right on everything: what an aggregation rule may gather. */
export const FULL_AUTHORITY: readonly PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
]

/** All rules that hold for the user: everywhere, and in `namespace` where it is not ''. */
export function rulesFor(source: RbacSource, user: User, namespace: string): PolicyRule[] {
  if (user.groups.includes(MASTERS)) return [...FULL_AUTHORITY]
  return [...grantsOf(source, user, namespace)].flatMap(({ rules }) => rules ?? [])
}

/**
 * The part of `rules` that the user does not hold in `namespace` ('' for everywhere), as rules of one resource or path
 * each. Empty where nothing is missing.
 */
export function findEscalation(
  source: RbacSource,
  user: User,
  namespace: string,
  rules: readonly PolicyRule[],
): PolicyRule[] {
  const held = rulesFor(source, user, namespace)
  const missing = [...rules].flatMap(breakDown).filter((right) => !held.some((rule) => covers(rule, right)))
  return compact(missing)
}

function breakDown({
  verbs,
  apiGroups = [],
  resources = [],
  resourceNames,
  nonResourceURLs = [],
}: PolicyRule): Right[] {
  const names = resourceNames?.length ? resourceNames : [undefined]
  return verbs.flatMap((verb) => [
    ...apiGroups.flatMap((group) =>
      resources.flatMap((resource) => names.map((name) => ({ verb, group, resource, name }))),
    ),
    ...nonResourceURLs.map((path) => ({ verb, path })),
  ])
}

function covers(rule: PolicyRule, right: Right): boolean {
  if (!includes(rule.verbs, right.verb)) return false
  if ('path' in right) {
    return (rule.nonResourceURLs ?? []).some((granted) => pathMatches(granted, right.path))
  }
  return (
    includes(rule.apiGroups, right.group) &&
    coversResource(rule.resources ?? [], right.resource) &&
    (!rule.resourceNames?.length || (right.name !== undefined && rule.resourceNames.includes(right.name)))
  )
}

function coversResource(granted: readonly string[], resource: string): boolean {
  if (includes(granted, resource)) return true
  const slash = resource.indexOf('/')
  return slash !== -1 && granted.includes(`*${resource.slice(slash)}`)
}

/** Rights that differ in the verb alone become one rule. */
function compact(rights: Right[]): PolicyRule[] {
  const rules = new Map<string, PolicyRule>()
  for (const { verb, ...rest } of rights) {
    const key = JSON.stringify(rest)
    const rule = rules.get(key)
    if (!rule) rules.set(key, ruleOf(verb, rest))
    else if (!rule.verbs.includes(verb)) rule.verbs.push(verb)
  }
  return [...rules.values()]
}

type WithoutVerb<T> = T extends unknown ? Omit<T, 'verb'> : never

function ruleOf(verb: string, rest: WithoutVerb<Right>): PolicyRule {
  if ('path' in rest) return { verbs: [verb], nonResourceURLs: [rest.path] }
  const { group, resource, name } = rest
  return {
    verbs: [verb],
    apiGroups: [group],
    resources: [resource],
    ...(name !== undefined && { resourceNames: [name] }),
  }
}

/** Rules in one line each, as kube-apiserver shows them in a refusal. */
export function formatRules(rules: readonly PolicyRule[]): string {
  return rules.map(formatRule).join('\n')
}

function formatRule(rule: PolicyRule): string {
  const parts: [string, string[] | undefined][] = [
    ['APIGroups', rule.apiGroups],
    ['Resources', rule.resources],
    ['ResourceNames', rule.resourceNames],
    ['NonResourceURLs', rule.nonResourceURLs],
    ['Verbs', rule.verbs],
  ]
  const shown = parts.flatMap(([label, list]) => (list ? [`${label}:${JSON.stringify(list)}`] : []))
  return `{${shown.join(', ')}}`
}
