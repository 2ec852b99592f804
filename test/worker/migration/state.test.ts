import { expect, test } from 'vitest'
import { buildMigrationReport } from '../../../src/worker/migration/report.ts'
import {
  abort,
  fail,
  type IncomingState,
  isArriving,
  isElsewhere,
  isHandedOver,
  isMoving,
  isSending,
  lose,
  type OutgoingState,
} from '../../../src/worker/migration/state.ts'
import { QUICK } from '../../helpers/migration.ts'

const CLOCK = { now: () => Date.parse('2026-01-01T00:00:00Z'), after: () => ({ [Symbol.dispose]() {} }) }
const outgoing = (step: OutgoingState['step'], more: Partial<OutgoingState> = {}): OutgoingState => ({
  uid: 'm1',
  side: 'source',
  step,
  target: { address: '10.0.0.1', ports: {} },
  options: QUICK,
  disks: [],
  ...more,
})
const incoming = (step: IncomingState['step'], more: Partial<IncomingState> = {}): IncomingState => ({
  uid: 'm1',
  side: 'target',
  step,
  paused: false,
  disks: [],
  ...more,
})

test.each([
  // step, phase told, moving, sending, handed over, elsewhere
  ['mirroring', 'running', true, true, false, false],
  ['sending', 'running', true, true, false, false],
  ['failing', 'running', true, true, false, false],
  ['reclaiming', 'handedOver', true, true, false, false],
  ['handedOver', 'handedOver', true, false, true, true],
  ['failed', 'failed', false, false, false, false],
] as const)('a source that is %s', (step, phase, moving, sending, handed, elsewhere) => {
  const move = outgoing(step)
  expect(buildMigrationReport(move).phase).toBe(phase)
  expect([isMoving(move), isSending(move), isHandedOver(move), isElsewhere(move)]).toEqual([
    moving,
    sending,
    handed,
    elsewhere,
  ])
})

test.each([
  // step, phase told, moving, arriving, elsewhere
  ['preparing', 'preparing', true, true, true],
  ['ready', 'ready', true, true, true],
  ['receiving', 'running', true, true, true],
  ['resuming', 'running', true, true, true],
  ['filling', 'running', true, false, false],
  ['done', 'done', false, false, false],
  ['failed', 'failed', true, true, true],
] as const)('a target that is %s', (step, phase, moving, arriving, elsewhere) => {
  const move = incoming(step)
  expect(buildMigrationReport(move).phase).toBe(phase)
  expect([isMoving(move), isArriving(move), isElsewhere(move)]).toEqual([moving, arriving, elsewhere])
})

test('a migration on its way is taken back when somebody wants that', () => {
  expect(abort(outgoing('sending'), 'aborted: x')).toMatchObject({ step: 'failing', abortStatus: 'Aborting' })
  expect(abort(outgoing('mirroring'), 'aborted: x')).toMatchObject({ step: 'failing' })
})

test.each(['failing', 'failed', 'handedOver', 'reclaiming'] as const)(
  'one that is %s stays as it is',
  (step) => {
    const move = outgoing(step)
    expect(abort(move, 'aborted: x')).toBe(move)
  },
)

test('post-copy cannot be taken back, and says so', () => {
  const move = abort(outgoing('sending', { mode: 'PostCopy' }), 'aborted: x')
  expect(move).toMatchObject({ step: 'sending', abortStatus: 'Failed' })
  expect(abort(move, 'aborted: x')).toBe(move)
})

test('a failure is told once it is certain, and that it has cost the guest where it has', () => {
  const failing = outgoing('failing', { failure: 'aborted: x' })
  expect(buildMigrationReport(failing)).not.toHaveProperty('failure')
  const failed = fail(failing, 'aborted: x', CLOCK)
  expect(buildMigrationReport(failed)).toMatchObject({
    failure: 'aborted: x',
    endTime: '2026-01-01T00:00:00Z',
  })
  expect(lose(outgoing('sending'), 'gone', 'Failed', CLOCK)).toMatchObject({
    step: 'failed',
    guestLost: true,
  })
  expect(lose(outgoing('sending'), 'off', 'Succeeded', CLOCK)).not.toHaveProperty('guestLost')
})
