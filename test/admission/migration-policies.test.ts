import { expect, test } from 'vitest'
import { parseFactor } from '../../src/admission/migration-policies/factor.ts'
import type { KubeObject } from '../../src/kinds/meta.ts'
import { MIGRATION_POLICIES } from '../../src/kinds/table.ts'
import { causesOf, makeAdmission, requestOf } from '../helpers/admission.ts'

const ON = { isGateOn: () => true }

function review(spec: object, config: object = {}, old?: object) {
  const metadata = { name: 'p', uid: 'u', resourceVersion: '1', creationTimestamp: '' }
  // A test hands in what a client would send.
  const before = old && ({ metadata, spec: old } as unknown as KubeObject)
  const extra = before ? { operation: 'UPDATE' as const, old: before } : {}
  const request = requestOf(MIGRATION_POLICIES, { metadata, spec: { selectors: {}, ...spec } }, extra)
  return causesOf(makeAdmission(config).review(request))
}

const detector = (members: object) => ({ experimental: { stallDetector: members } })
const at = (name: string) => [`Invalid spec.experimental.stallDetector.${name}`]

test.each<[string, object, object, string[]]>([
  [
    'MP-001: a negative time-out',
    { completionTimeoutPerGiB: -1 },
    {},
    ['Invalid spec.completionTimeoutPerGiB'],
  ],
  ['MP-001: none', { completionTimeoutPerGiB: 0 }, {}, []],
  ['MP-002: a downtime without the gate', { maxDowntimeMs: 5 }, {}, ['Invalid spec.maxDowntimeMs']],
  ['MP-002: a downtime with it', { maxDowntimeMs: 5 }, ON, []],
  ['MP-003: a detector without the gate', detector({}), {}, ['Invalid spec.experimental.stallDetector']],
  ['MP-004: no factor', detector({ ewmaAlpha: 'fast' }), ON, at('ewmaAlpha')],
  ['MP-004: zero', detector({ ewmaAlpha: '0' }), ON, at('ewmaAlpha')],
  ['MP-004: too much', detector({ ewmaAlpha: '1.001' }), ON, at('ewmaAlpha')],
  ['MP-004: in bounds', detector({ ewmaAlpha: '1' }), ON, []],
  ['MP-005: too little', detector({ precopyPossibleFactor: '0.999' }), ON, at('precopyPossibleFactor')],
  ['MP-005: in bounds', detector({ precopyPossibleFactor: ' 1.5 ' }), ON, []],
  ['MP-006: too much', detector({ patienceWindowDecayFactor: '1.1' }), ON, at('patienceWindowDecayFactor')],
  ['MP-006: zero is allowed', detector({ patienceWindowDecayFactor: '0' }), ON, []],
  ['MP-007: too little', detector({ completionTimeoutFactor: '-2' }), ON, at('completionTimeoutFactor')],
  ['MP-007: in bounds', detector({ completionTimeoutFactor: '2e0' }), ON, []],
  [
    'MP-008: a negative bandwidth',
    { bandwidthPerMigration: '-1Mi' },
    {},
    ['Invalid spec.bandwidthPerMigration'],
  ],
  ['MP-008: a bandwidth', { bandwidthPerMigration: '64Mi' }, {}, []],
])('%s', async (_rule, spec, config, causes) => {
  expect(await review(spec, config)).toEqual(causes)
})

test('what was there before needs no gate, and a change of it does', async () => {
  const old = { maxDowntimeMs: 5, ...detector({ ewmaAlpha: '0.5' }) }
  expect(await review(old, {}, old)).toEqual([])
  expect(await review({ maxDowntimeMs: 6, ...detector({ ewmaAlpha: '0.4' }) }, {}, old)).toEqual([
    'Invalid spec.maxDowntimeMs',
    'Invalid spec.experimental.stallDetector',
  ])
})

test('all causes are told together', async () => {
  const spec = { completionTimeoutPerGiB: -1, bandwidthPerMigration: '-1', ...detector({ ewmaAlpha: 'x' }) }
  expect(await review(spec, ON)).toHaveLength(3)
})

test.each([
  ['1', 1],
  ['.5', 0.5],
  ['1.', 1],
  ['+1e-3', 0.001],
  ['1_000.125', 1000.125],
  ['0x1p-2', 0.25],
  ['0x_1.8p1', 3],
  ['-0x1p0', -1],
  ['1e300', 1e300],
  ['', undefined],
  ['1.0005', undefined],
  ['0x10', undefined],
  ['_1', undefined],
  ['1__0', undefined],
  ['Inf', undefined],
  ['NaN', undefined],
  ['1e400', undefined],
  ['1 2', undefined],
  [1, undefined],
])('the factor %j is %j', (text, value) => {
  expect(parseFactor(text)).toBe(value)
})
