/** The names, types and labels that existing dashboards and alerts select on. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { FAMILIES } from '../../src/metrics/families/index.ts'
import type { Family } from '../../src/metrics/families/family.ts'
import { NOT_BUILT } from './not-built.ts'

const table = new Map(
  readFileSync(new URL('kubevirt-series.txt', import.meta.url), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line): [string, { type: string; labels: string[] }] => {
      const [, name = '', type = '', labels = ''] = /^\w+ (\w+) (\w+) \{(.*)\}$/.exec(line) ?? []
      return [name, { type, labels: labels === '' ? [] : labels.split(',') }]
    }),
)
const declared = new Map<string, Family>(
  Object.entries<Family>(FAMILIES).filter(([name]) => name.startsWith('kubevirt_')),
)

test('the table was read', () => {
  expect(table.size).toBe(103)
})

test('every series that is told with the prefix of KubeVirt is as KubeVirt has it', () => {
  for (const [name, { type, labels }] of declared) {
    expect({ name, type, labels: labels.toSorted() }).toEqual({
      name,
      type: table.get(name)?.type,
      labels: table.get(name)?.labels.toSorted(),
    })
  }
})

test('what KubeVirt has is told, or stands in the list of what is not, and why', () => {
  const missing = [...table.keys()].filter((name) => !declared.has(name))
  expect(missing.toSorted()).toEqual(Object.keys(NOT_BUILT).toSorted())
  for (const reason of Object.values(NOT_BUILT)) expect(reason.length).toBeGreaterThan(20)
})

test('each of our own is explained to who reads the documentation', () => {
  const text = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')
  const own = Object.keys(FAMILIES).filter((name) => name.startsWith('virtgate_'))
  expect(own.filter((name) => !new RegExp(`\`${name}[\`{]`).test(text))).toEqual([])
})

test('names that KubeVirt does not have are of the process or begin with ours', () => {
  const others = Object.keys(FAMILIES).filter((name) => !name.startsWith('kubevirt_'))
  expect(others.filter((name) => !/^(virtgate|process|nodejs)_/.test(name))).toEqual([])
})
