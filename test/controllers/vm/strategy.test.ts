import { describe, expect, test } from 'vitest'
import { decideStep, effectiveRunStrategy, isSetToStart } from '../../../src/controllers/vm/strategy.ts'
import type { VmiState } from '../../../src/controllers/vm/strategy.ts'
import type { RunStrategy, StateChangeRequest } from '../../../src/kinds/kubevirt.ts'

const START: StateChangeRequest = { action: 'Start' }
const STOP: StateChangeRequest = { action: 'Stop', uid: 'u1' }
const OTHER: StateChangeRequest = { action: 'Stop', uid: 'other' }

/** What is decided for no request, a Start, a Stop of this VMI and a Stop of another one. */
type Row = [strategy: RunStrategy, vmi: VmiState, none: string, start: string, stop: string, other: string]

const ROWS: Row[] = [
  ['Always', 'none', 'create!', 'create!', 'create!', 'create!'],
  ['Always', 'active', 'nothing', 'nothing', 'delete', 'nothing'],
  ['Always', 'succeeded', 'delete', 'delete', 'delete', 'delete'],
  ['Always', 'failed', 'delete', 'delete', 'delete', 'delete'],
  ['RerunOnFailure', 'none', 'nothing', 'create!', 'nothing', 'nothing'],
  ['RerunOnFailure', 'active', 'nothing', 'nothing', 'delete', 'nothing'],
  ['RerunOnFailure', 'succeeded', 'delete', 'delete', 'delete', 'delete'],
  ['RerunOnFailure', 'failed', 'restart', 'delete', 'delete', 'restart'],
  ['Manual', 'none', 'nothing', 'create', 'nothing', 'nothing'],
  ['Manual', 'active', 'nothing', 'nothing', 'delete', 'nothing'],
  ['Manual', 'succeeded', 'nothing', 'nothing', 'delete', 'nothing'],
  ['Manual', 'failed', 'nothing', 'nothing', 'delete', 'nothing'],
  ['Halted', 'none', 'nothing', 'always', 'nothing', 'nothing'],
  ['Halted', 'active', 'delete', 'delete', 'delete', 'delete'],
  ['Halted', 'succeeded', 'delete', 'delete', 'delete', 'delete'],
  ['Halted', 'failed', 'delete', 'delete', 'delete', 'delete'],
  ['Once', 'none', 'create', 'create', 'create', 'create'],
  ['Once', 'active', 'nothing', 'nothing', 'nothing', 'nothing'],
  ['Once', 'succeeded', 'nothing', 'nothing', 'nothing', 'nothing'],
  ['Once', 'failed', 'nothing', 'nothing', 'nothing', 'nothing'],
  ['WaitAsReceiver', 'none', 'refuse', 'refuse', 'refuse', 'refuse'],
  ['WaitAsReceiver', 'active', 'nothing', 'nothing', 'nothing', 'nothing'],
  ['WaitAsReceiver', 'succeeded', 'nothing', 'nothing', 'nothing', 'nothing'],
  ['WaitAsReceiver', 'failed', 'nothing', 'nothing', 'nothing', 'nothing'],
]

/** The step's name; `!` where it waits for the back-off. */
function decide(
  strategy: RunStrategy,
  vmi: VmiState,
  first: StateChangeRequest | undefined,
  recorded = strategy,
) {
  const vmiUid = vmi === 'none' ? undefined : 'u1'
  const step = decideStep({ strategy, vmi, first, vmiUid, recorded })
  return step.do === 'create' && step.backOff ? 'create!' : step.do
}

describe.each(ROWS)('%s with a VMI that is %s', (strategy, vmi, none, start, stop, other) => {
  test.each([
    ['without a request', undefined, none],
    ['with a Start', START, start],
    ['with a Stop of this VMI', STOP, stop],
    ['with a Stop of another VMI', OTHER, other],
  ])('%s', (_case, first, expected) => {
    expect(decide(strategy, vmi, first)).toBe(expected)
  })
})

test.each([[undefined], ['Halted' as const], ['Always' as const]])(
  'RerunOnFailure starts when it was just chosen, the strategy before being %s',
  (recorded) => {
    const facts = { strategy: 'RerunOnFailure', vmi: 'none', first: undefined, vmiUid: undefined } as const
    expect(decideStep({ ...facts, recorded })).toEqual({ do: 'create', backOff: true })
  },
)

test('a Stop without a UID is meant for no VMI', () => {
  expect(decide('Always', 'active', { action: 'Stop' })).toBe('nothing')
})

test.each([
  [{ running: true }, 'Always'],
  [{ running: false }, 'Halted'],
  [{ runStrategy: 'Manual' as const }, 'Manual'],
  [{}, 'Halted'],
  [{ running: true, runStrategy: 'Manual' as const }, undefined],
  [{ running: false, runStrategy: 'Always' as const }, undefined],
])('the strategy of %j is %s', (spec, expected) => {
  expect(effectiveRunStrategy(spec)).toBe(expected)
})

test.each<[RunStrategy, VmiState, StateChangeRequest | undefined, boolean]>([
  ['Always', 'none', undefined, true],
  ['Always', 'failed', undefined, true],
  ['Halted', 'none', START, false],
  ['Halted', 'active', undefined, false],
  ['Manual', 'none', undefined, false],
  ['Manual', 'none', START, true],
  ['Manual', 'none', STOP, false],
  ['Manual', 'active', undefined, true],
  ['Manual', 'active', STOP, false],
  ['Manual', 'active', OTHER, true],
  ['RerunOnFailure', 'none', undefined, true],
  ['RerunOnFailure', 'active', undefined, true],
  ['RerunOnFailure', 'failed', undefined, true],
  ['RerunOnFailure', 'succeeded', undefined, false],
  ['Once', 'none', undefined, true],
  ['Once', 'active', undefined, false],
  ['WaitAsReceiver', 'none', undefined, false],
])('set to start: %s with a VMI that is %s and first request %j: %s', (strategy, vmi, first, expected) => {
  expect(isSetToStart({ strategy, vmi, first, vmiUid: vmi === 'none' ? undefined : 'u1' })).toBe(expected)
})
