import { afterEach, expect, test } from 'vitest'
import { freezeGuest } from '../../../src/worker/actions/freeze.ts'
import { unfreezeGuest } from '../../../src/worker/actions/unfreeze.ts'
import type { Guest, Operation } from '../../../src/worker/guest/guest.ts'
import type { GuestState } from '../../../src/worker/guest/state.ts'
import type { AgentAnswers } from '../../helpers/fake-agent.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { GOOD, makeSituation } from './situation.ts'

const clock = createFakeClock()
const cleanups: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of cleanups.splice(0)) await each[Symbol.asyncDispose]()
})

async function makeGuest(
  answers: AgentAnswers = ({ execute }) => GOOD[execute],
  change: Partial<GuestState> = {},
) {
  const it = await makeSituation(answers, clock, change)
  cleanups.push(it)
  const guest: Pick<Guest, 'operate'> = {
    operate: async <T>(task: (operation: Operation) => Promise<T>) => task(it),
  }
  const reasons = () => it.record.report.events.map(({ reason }) => reason)
  return { ...it, guest, reasons }
}

const sending: NonNullable<GuestState['migration']> = {
  side: 'source',
  uid: 'm',
  step: 'sending',
  disks: [],
  target: { address: '192.0.2.1', ports: {} },
  options: {
    bandwidthBytes: 0,
    completionSecondsPerGiB: 1,
    progressSeconds: 1,
    maxDowntimeMs: 1,
    allowAutoConverge: false,
    allowPostCopy: false,
    allowWorkloadDisruption: false,
  },
}

test('a guest is frozen for so many seconds, or for ever, and that is told', async () => {
  const { guest, record, reasons } = await makeGuest()
  await freezeGuest(guest, { unfreezeSeconds: 30 }, clock)
  expect(record.state.frozen).toEqual({ thawAtMs: clock.now() + 30_000, confirmed: true })
  expect(reasons()).toEqual(['Frozen'])
  const other = await makeGuest()
  await freezeGuest(other.guest, { unfreezeSeconds: 0 }, clock)
  expect(other.record.state.frozen).toEqual({ confirmed: true })
})

test('a frozen guest stays as it is, and its time runs on', async () => {
  const { guest, record, reasons, fake } = await makeGuest(() => 'frozen', {
    frozen: { thawAtMs: 7, confirmed: true },
  })
  await freezeGuest(guest, { unfreezeSeconds: 30 }, clock)
  expect(record.state.frozen).toEqual({ thawAtMs: 7, confirmed: true })
  expect([fake.asked, reasons()]).toEqual([['guest-fsfreeze-status'], []])
  const { guest: foreign, record: unknown } = await makeGuest(() => 'frozen')
  await freezeGuest(foreign, { unfreezeSeconds: 30 }, clock)
  expect(unknown.state.frozen).toEqual({ thawAtMs: clock.now() + 30_000, confirmed: true })
})

test.each<[string, Partial<GuestState>]>([
  ['on its way to another node', { migration: sending }],
  ['paused', { pausedBy: 'user' }],
])('a guest that is %s is not frozen', async (_state, change) => {
  const { guest, fake } = await makeGuest(undefined, change)
  await expect(freezeGuest(guest, { unfreezeSeconds: 1 }, clock)).rejects.toMatchObject({ code: 409 })
  expect(fake.asked).toEqual([])
})

test('without an agent nothing is frozen or thawed', async () => {
  const { guest, machine } = await makeGuest()
  machine.hasAgent = false
  await expect(freezeGuest(guest, { unfreezeSeconds: 1 }, clock)).rejects.toMatchObject({ code: 409 })
  await expect(unfreezeGuest(guest)).rejects.toMatchObject({ code: 409 })
})

test('an agent that refuses is quoted, in the answer and in an Event, and nothing stays frozen', async () => {
  const { guest, record, reasons } = await makeGuest(({ execute }) =>
    execute === 'guest-fsfreeze-freeze' ? new Error('failed to\nfreeze /data') : GOOD[execute],
  )
  await expect(freezeGuest(guest, { unfreezeSeconds: 1 }, clock)).rejects.toMatchObject({
    code: 409,
    message: expect.stringContaining('failed tofreeze /data'),
  })
  expect(reasons()).toEqual(['FreezeError'])
  expect(record.report.events[0]).toMatchObject({
    type: 'Warning',
    message: expect.stringContaining('/data'),
  })
  expect(record.state.frozen).toBeUndefined()
})

test('thawing a guest that is not frozen changes nothing; one that does not thaw stays frozen', async () => {
  const { guest, fake, record } = await makeGuest()
  await unfreezeGuest(guest)
  expect(fake.asked).toEqual(['guest-fsfreeze-status'])
  fake.answers = ({ execute }) => (execute === 'guest-fsfreeze-status' ? 'frozen' : new Error('stuck'))
  await record.keep({ frozen: { confirmed: true } })
  await expect(unfreezeGuest(guest)).rejects.toMatchObject({
    code: 409,
    message: expect.stringContaining('stuck'),
  })
  expect(record.report.status.fsFreezeStatus).toBe('frozen')
  fake.answers = ({ execute }) => (execute === 'guest-fsfreeze-status' ? 'frozen' : 1)
  await unfreezeGuest(guest)
  expect(record.report.status.fsFreezeStatus).toBeUndefined()
})

test.each([-1, 1.5, NaN])('%d is no time', async (unfreezeSeconds) => {
  const { guest } = await makeGuest()
  await expect(freezeGuest(guest, { unfreezeSeconds }, clock)).rejects.toMatchObject({ code: 400 })
})
