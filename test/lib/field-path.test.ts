import { expect, test } from 'vitest'
import { FieldPath } from '../../src/lib/field-path.ts'

test('a path reads as Kubernetes writes it, and its parts can be used again', () => {
  const spec = new FieldPath('spec')
  const volumes = spec.child('template', 'spec').child('volumes')
  expect(String(volumes.index(3).child('name'))).toBe('spec.template.spec.volumes[3].name')
  expect(String(new FieldPath().child('data').key('tls.key'))).toBe('data[tls.key]')
  expect(String(volumes)).toBe('spec.template.spec.volumes')
  expect(String(spec)).toBe('spec')
  expect(String(new FieldPath())).toBe('')
})
