import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkCel } from '../../src/lib/cel-syntax.ts'

const bool = (expression: string) => checkCel(expression, ['vmi', 'domainSpec'], 'bool')

describe('an expression that is a condition', () => {
  test.each([
    'true',
    'vmi.Spec.Domain.CPU != null && vmi.Spec.Domain.CPU.Cores > 2u',
    "domainSpec.Title.startsWith('a') || !(vmi.Name in ['a', \"b\"])",
    'vmi.Spec.Volumes.all(v, v.Name != "" && has(v.DataVolume))',
    'vmi.Spec.Volumes.filter(v, v.Name == "x").exists(w, w.Name == "y")',
    'size(vmi.Name) == 1 ? true : vmi.Labels["a"] == r"\\d"',
    'vmi.Metadata.?Labels["a"].orValue("") == ""',
    '// a word\n  1.5e3 < double(vmi.x) && 0x1F == 31 && -vmi.x < .5',
    "'''it's\nlong''' == vmi.x",
    'vmi.x.matches("^a$") && {"a": 1, "b": [1, 2,],}["a"] == 1',
    'vmi.Paused',
    'type(vmi) == map',
  ])('%s', (expression) => {
    expect(bool(expression)).toBeUndefined()
  })
})

describe('an expression that is none', () => {
  test.each([
    ['vmi.Spec.', /ends too early/],
    ['vmi.x ==', /ends too early/],
    ['(vmi.x', /ends too early/],
    ['vmi.x = 1', /"=" is not expected at character 7/],
    ['vmi x', /"x" is not expected/],
    ['vm.x == 1', /there is no "vm": use vmi, domainSpec/],
    ['vmi.x.all(v, v) && v', /there is no "v"/],
    ['"open', /is not expected at character 1/],
    ['"\\q" == vmi.x', /is not expected/],
    ['vmi.x == 1 ? true', /ends too early/],
    ['for == 1', /"for" is not expected/],
    ['1 + 2', /is a number and must be a bool/],
    ['"text"', /is a string and must be a bool/],
    ['[true]', /is a list and must be a bool/],
    ['Domain{Title: "a"}', /is a Domain and must be a bool/],
    ['('.repeat(200), /nested too deeply/],
    ['-'.repeat(20_000), /longer than/],
    ['{1: 2, 3}', /is not expected/],
  ])('%s', (expression, complaint) => {
    expect(bool(expression)).toMatch(complaint)
  })
})

test.each([
  ['Domain{Title: "a", Memory: domainSpec.Memory}', undefined],
  ['libvirtxml.Domain{}', undefined],
  ['vmi.Spec.Paused ? domainSpec : Domain{}', undefined],
  ['domainSpec', undefined],
  ['vmi.x == 1', 'the expression is a bool and must be a Domain'],
])('%s as a Domain: %s', (expression, complaint) => {
  expect(checkCel(expression, ['vmi', 'domainSpec'], 'Domain')).toBe(complaint)
})

test('whatever it is, the answer is a sentence or nothing, and soon', () => {
  const word = fc.constantFrom(
    'vmi',
    '.',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    '"',
    "'",
    '&&',
    '?',
    ':',
    '1',
    ' ',
    '\\',
    'x',
    '!',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(word, { maxLength: 40 }).map((words) => words.join('')),
      ),
      (text) => {
        expect(['string', 'undefined']).toContain(typeof bool(text))
      },
    ),
    { numRuns: 2000 },
  )
})
