/**
 * What one rule of a role grants.
 * Source: `pkg/apis/rbac/v1/evaluation_helpers.go` of Kubernetes, and "Using RBAC Authorization" in its documentation.
 */
import type { PolicyRule } from '../../kinds/core.ts'
import type { Attributes, PathAttributes, ResourceAttributes } from '../access.ts'

const ALL = '*'

/** Whether the rule grants what is asked for. */
export function ruleAllows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!includes(rule.verbs, attributes.verb)) return false
  return attributes.kind === 'path' ? allowsPath(rule, attributes) : allowsResource(rule, attributes)
}

function allowsResource(
  rule: PolicyRule,
  { group, resource, subresource, name }: ResourceAttributes,
): boolean {
  return (
    includes(rule.apiGroups, group) &&
    (rule.resources ?? []).some((granted) => resourceMatches(granted, resource, subresource)) &&
    // A rule with names grants nothing to a request without one, such as create or list.
    (!rule.resourceNames?.length || (name !== undefined && name !== '' && rule.resourceNames.includes(name)))
  )
}

function resourceMatches(granted: string, resource: string, subresource: string | undefined): boolean {
  if (granted === ALL) return true
  if (!subresource) return granted === resource
  return granted === `${resource}/${subresource}` || granted === `*/${subresource}`
}

function allowsPath(rule: PolicyRule, { path }: PathAttributes): boolean {
  return (rule.nonResourceURLs ?? []).some((granted) => pathMatches(granted, path))
}

/** Whether a granted path, which may end in `*`, takes in the other. */
export function pathMatches(granted: string, path: string): boolean {
  if (granted === ALL || granted === path) return true
  return granted.endsWith('*') && path.startsWith(granted.replace(/\*+$/, ''))
}

/** Whether the list has the value, or `*`. */
export function includes(list: readonly string[] | undefined, value: string): boolean {
  return list ? list.includes(ALL) || list.includes(value) : false
}
