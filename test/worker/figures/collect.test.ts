/** A guest that hangs costs a scrape its own time limit and nothing more. Source: contract metrics.md, 9.6. */
import { expect, test } from 'vitest'
import { buildFigureReader } from '../../../src/worker/figures/collect.ts'
import type { ObservedGuest } from '../../../src/worker/figures/guest.ts'
import { newState } from '../../../src/worker/guest/state.ts'
import { createFakeClock, turn } from '../../helpers/fake-clock.ts'
import { guestVmi, silentLog } from '../../helpers/worker.ts'

const BALLOON = 'kubevirt_vmi_memory_actual_balloon_bytes'

/** A guest with a balloon; `isStuck` says whether its QEMU is silent. */
function guestOf(name: string, isStuck: () => boolean) {
  const asked: string[] = []
  const later = Promise.withResolvers<void>()
  async function command<T>(what: string): Promise<T> {
    asked.push(what)
    if (isStuck()) await later.promise
    const answer: unknown = what === 'query-balloon' ? { actual: 1024 } : []
    // What QEMU would say to the few commands there are.
    return answer as T
  }
  const observed: ObservedGuest = {
    state: newState({ uid: name, namespace: 'default', name }, 1),
    vmi: guestVmi(name),
    machine: { process: { pid: 0, startTicks: '', bootId: '', logOffset: 0 }, command },
    agent: undefined,
  }
  return { observed, asked, answerAll: () => later.resolve() }
}

function serve() {
  const clock = createFakeClock()
  const others = Array.from({ length: 499 }, (_, index) => guestOf(`vm-${index}`, () => false))
  let isStuck = true
  const stuck = guestOf('stuck', () => isStuck)
  const figures = buildFigureReader({ nodeName: 'n1', clock, log: silentLog })
  const guests = [stuck, ...others].map(({ observed }) => observed)
  return {
    clock,
    stuck,
    /** What was read, once that is over. */
    read: () => {
      const state: { told: string[] | undefined } = { told: undefined }
      void figures.read(guests).then((readings) => {
        state.told = readings.filter(({ name }) => name === BALLOON).map(({ labels }) => labels['name'] ?? '')
      })
      return state
    },
    recover: () => {
      isStuck = false
      stuck.answerAll()
    },
  }
}

test('499 guests are told after the 2 s that the one which hangs is given', async () => {
  const { clock, read } = serve()
  const reading = read()
  await turn()
  clock.advance(1_999)
  await turn()
  expect(reading.told).toBeUndefined()
  clock.advance(1)
  await turn()
  expect(reading.told).toHaveLength(499)
  expect(reading.told).not.toContain('stuck')
  expect(clock.pending()).toBe(0)
})

test('a guest that still owes an answer is not waited for again, and is told once it has answered', async () => {
  const { clock, stuck, read, recover } = serve()
  const first = read()
  await turn()
  clock.advance(2_000)
  await turn()
  expect(first.told).toHaveLength(499)
  const asked = stuck.asked.length
  const second = read()
  await turn()
  // Without any time having passed.
  expect(second.told).toHaveLength(499)
  expect(stuck.asked).toHaveLength(asked)
  recover()
  await turn()
  const third = read()
  await turn()
  expect(third.told).toHaveLength(500)
})
