import { expect, test } from 'vitest'
import { findAll, findFirst, JsonPathError, parseJsonPath } from '../../src/lib/jsonpath.ts'

const object = {
  metadata: { name: 'a', annotations: { 'kubevirt.io/x.y': 'dotted' } },
  status: {
    ready: false,
    count: 0,
    conditions: [
      { type: 'Ready', status: 'True', rank: 2 },
      { type: 'Paused', status: 'False', rank: 3 },
    ],
    interfaces: [{ ipAddress: '10.0.2.2' }, { ipAddress: '10.0.2.3' }],
  },
}

test.each([
  ['.metadata.name', 'a'],
  ['{.metadata.name}', 'a'],
  ['$.metadata.name', 'a'],
  ['.status.ready', false],
  ['.status.count', 0],
  ['.status.interfaces[0].ipAddress', '10.0.2.2'],
  ['.status.interfaces[-1].ipAddress', '10.0.2.3'],
  [".status.conditions[?(@.type=='Paused')].status", 'False'],
  ['.status.conditions[?(@.type == "Ready")].status', 'True'],
  [".status.conditions[?(@.type!='Ready')].status", 'False'],
  ['.status.conditions[?(@.rank==3)].type', 'Paused'],
  [".metadata.annotations['kubevirt.io/x.y']", 'dotted'],
  ['.metadata.annotations.kubevirt\\.io/x\\.y', 'dotted'],
  ['.status.conditions[*].type', 'Ready'],
  ['.status.missing.deeper', undefined],
  ['.status.interfaces[7].ipAddress', undefined],
  [".status.conditions[?(@.type=='Gone')].status", undefined],
  ['.constructor', undefined],
  ['.metadata.__proto__', undefined],
])('%s leads to %j', (path, expected) => {
  expect(findFirst(parseJsonPath(path), object)).toBe(expected)
})

test('a star leads to all elements', () => {
  expect(findAll(parseJsonPath('.status.interfaces[*].ipAddress'), object)).toEqual(['10.0.2.2', '10.0.2.3'])
})

test.each(['status', '.a[', '.a[?(@.b>1)]', '.a..b', ".a['b]"])('%s cannot be read', (path) => {
  expect(() => parseJsonPath(path)).toThrow(JsonPathError)
})
