/** Contract: admission-overview.md, 10. */
import { describe, expect, test } from 'vitest'
import { milliOf, wholeOf } from '../../../src/admission/quantities.ts'
import { selects } from '../../../src/admission/selector.ts'
import { isMacAddress, isPciAddress, isPortName } from '../../../src/admission/spec/addresses.ts'
import { countVcpus } from '../../../src/admission/spec/cpu.ts'
import { isContainerPath } from '../../../src/admission/spec/paths.ts'
import { matchesGlob } from '../../../src/lib/glob.ts'
import {
  checkDns1123Label,
  checkDns1123Subdomain,
  checkLabelValue,
  checkQualifiedName,
} from '../../../src/lib/names.ts'
import { SelectorError } from '../../../src/lib/selectors.ts'
import { complaintsOf, NEW_VMI } from '../../helpers/rule-cases.ts'

test.each<[string, (text: string) => string[], string, number]>([
  ['PRIM-001', checkDns1123Label, 'a-1', 0],
  ['PRIM-001', checkDns1123Label, '', 1],
  ['PRIM-001', checkDns1123Label, `${'a'.repeat(63)}-`, 2],
  ['PRIM-001', checkDns1123Label, 'a.b', 1],
  ['PRIM-002', checkDns1123Subdomain, 'a.b-c', 0],
  ['PRIM-002', checkDns1123Subdomain, 'a..b', 1],
  ['PRIM-002', checkDns1123Subdomain, 'A'.repeat(254), 2],
  ['PRIM-003', checkQualifiedName, 'a.b/C_d', 0],
  ['PRIM-003', checkQualifiedName, '', 2],
  ['PRIM-003', checkQualifiedName, 'a/b/c', 1],
  ['PRIM-003', checkQualifiedName, '/b', 1],
  ['PRIM-003', checkQualifiedName, `A/${'b'.repeat(64)}-`, 3],
  ['PRIM-004', checkLabelValue, '', 0],
  ['PRIM-004', checkLabelValue, 'a b', 1],
  ['PRIM-004', checkLabelValue, '-'.repeat(64), 2],
])('%s: %o finds in %j faults: %i', (_id, check, text, count) => {
  expect(check(text)).toHaveLength(count)
})

test.each<[string, (text: string) => boolean, string[], string[]]>([
  ['PRIM-005', isPortName, ['http', 'a-1'], ['', '1', 'a--b', '-a', 'a-', 'A', 'a'.repeat(16)]],
  [
    'PRIM-006',
    isMacAddress,
    ['', '02:00:00:00:00:0a', '02-00-00-00-00-0A', '0200.0000.000a'],
    ['02:00:00:00:00', '02:00:00-00:00:0a', '02:00:00:00:00:00:00:0a', 'x'],
  ],
  ['PRIM-007', isPciAddress, ['0000:81:01.7'], ['0000:81:01.8', '81:01.0', '0000:81:01.00']],
  ['PRIM-008', isContainerPath, ['/a', '/a/b/'], ['/', 'a', '/a/../b', '//a', '/a//b', '/a/b//']],
  [
    'PRIM-009',
    (name) => matchesGlob('pc-[q-r]3?*', name),
    ['pc-q35', 'pc-r3x-1'],
    ['pc-q3', 'pc-s35', 'pc-q3/', 'pc-q35/1'],
  ],
])('%s', (_id, check, right, wrong) => {
  for (const text of right) expect([text, check(text)]).toEqual([text, true])
  for (const text of wrong) expect([text, check(text)]).toEqual([text, false])
})

test('PRIM-010: quantities, rounded away from zero', () => {
  expect([wholeOf('0.1'), wholeOf('-0.1'), wholeOf(undefined), wholeOf('1Ki')]).toEqual([1n, -1n, 0n, 1024n])
  expect([milliOf('0.0001'), milliOf('1')]).toEqual([1n, 1000n])
})

describe('PRIM-011: what a selector chooses', () => {
  const expression = (operator: string, values?: string[]) => ({
    matchExpressions: [{ key: 'a', operator, ...(values && { values }) }],
  })
  test.each([
    [undefined, false],
    [{}, true],
    [{ matchLabels: { a: 'b' } }, true],
    [{ matchLabels: { a: 'c' } }, false],
    [expression('NotIn', ['c']), true],
    [{ matchExpressions: [{ key: 'none', operator: 'NotIn', values: ['c'] }] }, true],
    [expression('DoesNotExist'), false],
  ])('%j: %s', (selector, expected) => {
    expect(selects(selector, { a: 'b' })).toBe(expected)
  })

  test.each([
    expression('Like', ['b']),
    expression('In'),
    expression('Exists', ['b']),
    { matchLabels: { 'a b': 'c' } },
    { matchLabels: { a: 'b c' } },
  ])('%j cannot be understood', (selector) => {
    expect(() => selects(selector, { a: 'b' })).toThrow(SelectorError)
  })
})

describe('PRIM-012: what is wrong with a selector', () => {
  const at = 'spec.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector'
  const complaints = (labelSelector: object) =>
    complaintsOf(NEW_VMI, {
      'spec.affinity.podAffinity': {
        requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'a', labelSelector }],
      },
    })
  const expression = (operator: string, values: string[] = [], key = 'a') => ({
    matchExpressions: [{ key, operator, values }],
  })
  test.each([
    [{ matchLabels: { '-': '-' } }, [`Invalid ${at}.matchLabels`, `Invalid ${at}.matchLabels`]],
    [expression('In'), [`Invalid ${at}.matchExpressions[0].values`]],
    [expression('Exists', ['b']), [`Invalid ${at}.matchExpressions[0].values`]],
    [expression('Like', ['b']), [`Invalid ${at}.matchExpressions[0].operator`]],
    [expression('In', ['b'], '-'), [`Invalid ${at}.matchExpressions[0].key`]],
    [expression('In', ['b', '-']), [`Invalid ${at}.matchExpressions[0].values[1]`]],
    [expression('In', ['b']), []],
  ])('%j', async (selector, causes) => {
    expect(await complaints(selector)).toEqual(causes)
  })
})

test.each([
  [{}, 0],
  [{ cores: 2, threads: 2 }, 4],
  [{ cores: 65_536, sockets: 65_536, maxSockets: 9 }, 0],
])('PRIM-013: %j makes %i vCPUs', (cpu, count) => {
  expect(countVcpus(cpu)).toBe(count)
})

test.each([
  ['10.0.0.1', true],
  ['010.0.0.01', true],
  ['::ffff:10.0.0.1', true],
  ['fe80::1', true],
  ['10.0.0', false],
  ['10.0.0.256', false],
  ['', false],
])('PRIM-014: %j is an address: %s', async (address, isAddress) => {
  const complaints = await complaintsOf(NEW_VMI, { 'spec.dnsConfig': { nameservers: [address] } })
  expect(complaints).toEqual(isAddress ? [] : ['Invalid nameservers'])
})

test.each([
  ['aGk=', true],
  ['a\r\nGk=', true],
  ['aGk', false],
  ['aG k=', false],
  ['aGk_', false],
])('PRIM-015: %j is base64: %s', async (userDataBase64, isBase64) => {
  const edits = { 'spec.volumes[0]': { name: 'd', cloudInitNoCloud: { userDataBase64 } } }
  const complaints = await complaintsOf(NEW_VMI, edits)
  expect(complaints).toEqual(isBase64 ? [] : ['Invalid spec.volumes[0].cloudInitNoCloud.userDataBase64'])
})

test.each([
  [{}, []],
  [{ enabled: true }, []],
  [{ enabled: false }, ['Invalid spec.domain']],
  [undefined, ['Invalid spec.domain']],
])('PRIM-016: SMM as %j lets secure boot: %j', async (smm, complaints) => {
  const edits = { 'spec.domain.firmware.bootloader': { efi: {} }, 'spec.domain.features': smm && { smm } }
  expect(await complaintsOf(NEW_VMI, edits)).toEqual(complaints)
})
