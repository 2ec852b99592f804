import { expect, test } from 'vitest'
import { ruleAllows } from '../../src/auth/rbac/rules.ts'
import type { PolicyRule } from '../../src/kinds/core.ts'

const rule = (resources: string[], more: Partial<PolicyRule> = {}): PolicyRule => ({
  verbs: ['get'],
  apiGroups: ['kubevirt.io'],
  resources,
  ...more,
})
const asked = (resource: string, subresource?: string, name?: string, verb = 'get') => ({
  kind: 'resource' as const,
  verb,
  group: 'kubevirt.io',
  version: 'v1',
  resource,
  ...(subresource && { subresource }),
  ...(name && { name }),
})

test.each<[string, PolicyRule, ReturnType<typeof asked>, boolean]>([
  ['the resource named', rule(['vms']), asked('vms'), true],
  ['another resource', rule(['vms']), asked('vmis'), false],
  ['any resource', rule(['*']), asked('vmis'), true],
  ['any resource, subresources included', rule(['*']), asked('vmis', 'vnc'), true],
  ['a subresource named', rule(['vmis/vnc']), asked('vmis', 'vnc'), true],
  ['the parent, not its subresource', rule(['vmis']), asked('vmis', 'vnc'), false],
  ['a subresource, not its parent', rule(['vmis/vnc']), asked('vmis'), false],
  ['a subresource, not the deeper one', rule(['vmis/vnc']), asked('vmis', 'vnc/screenshot'), false],
  ['a deeper subresource', rule(['vmis/vnc/screenshot']), asked('vmis', 'vnc/screenshot'), true],
  ['a subresource of every resource', rule(['*/status']), asked('vms', 'status'), true],
  ['a subresource of every resource, not another', rule(['*/status']), asked('vms', 'scale'), false],
  ['all of one resource is no pattern', rule(['vms/*']), asked('vms', 'status'), false],
  ['another verb', rule(['vms']), asked('vms', undefined, 'a', 'delete'), false],
  ['any verb', rule(['vms'], { verbs: ['*'] }), asked('vms', undefined, 'a', 'delete'), true],
  ['another group', rule(['vms'], { apiGroups: [''] }), asked('vms'), false],
  ['any group', rule(['vms'], { apiGroups: ['*'] }), asked('vms'), true],
  ['the name granted', rule(['vms'], { resourceNames: ['a'] }), asked('vms', undefined, 'a'), true],
  ['another name', rule(['vms'], { resourceNames: ['a'] }), asked('vms', undefined, 'b'), false],
  ['no name where names are granted', rule(['vms'], { resourceNames: ['a'] }), asked('vms'), false],
  ['a rule without resources', { verbs: ['get'], nonResourceURLs: ['*'] }, asked('vms'), false],
])('a resource: %s', (_case, granted, attributes, allowed) => {
  expect(ruleAllows(granted, attributes)).toBe(allowed)
})

test.each([
  ['/healthz', '/healthz', true],
  ['/healthz', '/healthz/etcd', false],
  ['/healthz/*', '/healthz/etcd', true],
  ['/healthz/*', '/healthz', false],
  ['*', '/metrics', true],
  ['/api*', '/apis', true],
  ['/a*/b', '/axx/b', false],
])('a path: %s and %s: %s', (granted, path, allowed) => {
  const rule = { verbs: ['get'], nonResourceURLs: [granted] }
  expect(ruleAllows(rule, { kind: 'path', verb: 'get', path })).toBe(allowed)
  expect(ruleAllows(rule, { kind: 'path', verb: 'post', path })).toBe(false)
})
