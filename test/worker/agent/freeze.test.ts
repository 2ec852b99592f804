import { expect, test } from 'vitest'
import { freeze, isFrozen, thaw } from '../../../src/worker/agent/freeze.ts'
import type { GuestState } from '../../../src/worker/guest/state.ts'
import { type AgentAnswers } from '../../helpers/fake-agent.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { eventually } from '../../helpers/server.ts'
import { GOOD, makeSituation } from './situation.ts'

/** An agent whose file systems can be frozen, and are at the start where `frozen`. */
function freezer(frozen = false): AgentAnswers & { isFrozen: () => boolean } {
  let isIt = frozen
  const answers: AgentAnswers = ({ execute }) => {
    if (execute === 'guest-fsfreeze-freeze') isIt = true
    if (execute === 'guest-fsfreeze-thaw') isIt = false
    if (execute === 'guest-fsfreeze-status') return isIt ? 'frozen' : 'thawed'
    return GOOD[execute]
  }
  return Object.assign(answers, { isFrozen: () => isIt })
}

test('when it thaws is written down before it is frozen', async () => {
  const clock = createFakeClock()
  const seen: (GuestState['frozen'] | undefined)[] = []
  let it: Awaited<ReturnType<typeof makeSituation>> | undefined
  await using made = await makeSituation(({ execute }) => {
    if (execute === 'guest-fsfreeze-freeze') seen.push(it?.record.state.frozen)
    return GOOD[execute]
  }, clock)
  it = made
  await freeze(made, { thawAtMs: 77 })
  expect(seen).toEqual([{ thawAtMs: 77, confirmed: false }])
  expect(made.record.state.frozen).toEqual({ thawAtMs: 77, confirmed: true })
  expect(made.record.report.status.fsFreezeStatus).toBe('frozen')
  await thaw(made)
  expect(made.record.report.status.fsFreezeStatus).toBeUndefined()
})

test('an agent that fails half way is told to thaw, and so it is until it does', async () => {
  const clock = createFakeClock()
  let thaws = 0
  await using it = await makeSituation(({ execute }) => {
    if (execute === 'guest-fsfreeze-freeze') return new Error('failed to freeze /data')
    if (execute === 'guest-fsfreeze-thaw') return ++thaws < 3 ? new Error('busy') : 1
    return GOOD[execute]
  }, clock)
  await expect(freeze(it, {})).rejects.toMatchObject({ refused: true, said: 'failed to freeze /data' })
  expect(thaws).toBe(1)
  expect(it.record.state.frozen).toEqual({ thawAtMs: 0, confirmed: false })
  expect(it.record.report.status.fsFreezeStatus).toBeUndefined()
  it.machine.agentArrivals = 1
  it.agent.look(it.machine)
  await eventually('thawed', 5_000, async () => {
    clock.advance(60_000)
    return it.record.state.frozen === undefined
  })
})

test('it thaws when its time is up', async () => {
  const clock = createFakeClock()
  const answers = freezer()
  await using it = await makeSituation(answers, clock)
  it.agent.look(it.machine)
  await freeze(it, { thawAtMs: clock.now() + 5_000 })
  it.agent.look(it.machine)
  await new Promise((resolve) => setTimeout(resolve, 100))
  clock.advance(4_999)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(answers.isFrozen()).toBe(true)
  await eventually('thawed', 5_000, async () => {
    clock.advance(1)
    return !answers.isFrozen() && it.record.state.frozen === undefined
  })
  await eventually('told', 5_000, async () =>
    it.record.report.events.some(({ reason }) => reason === 'Unfrozen'),
  )
})

test.each<[string, Partial<GuestState>, boolean]>([
  ['nobody has asked for', {}, false],
  ['should have thawed long ago', { frozen: { thawAtMs: 1, confirmed: true } }, false],
  ['is to stay frozen', { frozen: { confirmed: true } }, true],
  ['was being frozen when the worker crashed', { frozen: { thawAtMs: 2 ** 50, confirmed: false } }, true],
])('a guest that is found frozen as %s', async (_what, state, stays) => {
  const answers = freezer(true)
  await using it = await makeSituation(answers, createFakeClock(), state)
  it.agent.look(it.machine)
  await eventually('settled', 5_000, async () =>
    stays ? it.record.state.frozen?.confirmed : !answers.isFrozen(),
  )
  expect(answers.isFrozen()).toBe(stays)
  expect(it.record.report.status.fsFreezeStatus).toBe(stays ? 'frozen' : undefined)
})

test('a guest that is found thawed, or was reset, is not frozen any more', async () => {
  await using it = await makeSituation(freezer(), createFakeClock(), { frozen: { confirmed: true } })
  it.agent.look(it.machine)
  await eventually('noticed', 5_000, async () => it.record.state.frozen === undefined)
  await freeze(it, {})
  it.machine.hasAgent = false
  it.machine.resets += 1
  it.agent.look(it.machine)
  await eventually('noticed', 5_000, async () => it.record.state.frozen === undefined)
  expect(it.record.report.status.fsFreezeStatus).toBeUndefined()
})

test('an agent that answers with no status is an error', async () => {
  await using it = await makeSituation(() => ({ frozen: 'maybe' }), createFakeClock())
  await expect(isFrozen(it.machine)).rejects.toThrow('no status')
})
