import { afterEach, expect, test } from 'vitest'
import { type Probe, Probes } from '../../../src/worker/agent/probes.ts'
import type { GuestState } from '../../../src/worker/guest/state.ts'
import type { AgentAnswers } from '../../helpers/fake-agent.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { eventually } from '../../helpers/server.ts'
import { silentLog } from '../../helpers/worker.ts'
import { makeSituation } from './situation.ts'

const cleanups: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of cleanups.splice(0)) await each[Symbol.asyncDispose]()
})

/** A guest with these probes, whose agent answers so. */
async function makeGuest(
  probes: { livenessProbe?: Probe; readinessProbe?: Probe },
  answers: AgentAnswers,
  change: Partial<GuestState> = {},
) {
  const clock = createFakeClock()
  const it = await makeSituation(answers, clock, change)
  let rings = 0
  const all = new Probes({ record: it.record, clock, log: silentLog, onFailure: () => (rings += 1) })
  cleanups.push(all, it)
  const spec = { domain: { devices: {} }, ...probes }
  all.look(it.machine, spec)
  /** Lets probes run: the agent's answers take real time. */
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1_000) {
      clock.advance(1_000)
      await new Promise((resolve) => setTimeout(resolve, 15))
    }
  }
  return { ...it, all, spec, clock, pass, rings: () => rings }
}

const ping: Probe = { guestAgentPing: {}, periodSeconds: 10, failureThreshold: 3 }

test('a guest is not ready before its probe has succeeded, nor when it has failed often enough', async () => {
  let works = false
  const it = await makeGuest({ readinessProbe: ping }, () => (works ? {} : new Error('no')))
  expect(it.record.report.unready).toContain('not succeeded yet')
  works = true
  await it.pass(11_000)
  await eventually('ready', 3_000, async () => it.record.report.unready === undefined)
  works = false
  await it.pass(19_000)
  expect(it.record.report.unready).toBeUndefined()
  await it.pass(22_000)
  expect(it.record.report.unready).toContain('readiness probe has failed')
  expect(it.record.report.events.map(({ reason }) => reason)).toEqual(['Unhealthy'])
})

test('a guest that does not live is told, once', async () => {
  const it = await makeGuest({ livenessProbe: { ...ping, initialDelaySeconds: 30 } }, () => new Error('no'))
  await it.pass(29_000)
  expect(it.fake.asked).toEqual([])
  await it.pass(40_000)
  await eventually('dead', 3_000, async () => it.all.failure !== undefined)
  expect(it.all.failure).toContain('liveness probe has failed')
  expect(it.rings()).toBe(1)
})

test('a program decides by its exit code, and one that takes too long has failed', async () => {
  let status: object = { exited: true, exitcode: 0 }
  const it = await makeGuest(
    {
      readinessProbe: {
        exec: { command: ['check', 'it'] },
        periodSeconds: 5,
        timeoutSeconds: 2,
        failureThreshold: 1,
      },
    },
    ({ execute }) => (execute === 'guest-exec' ? { pid: 9 } : status),
  )
  await it.pass(2_000)
  await eventually('ready', 3_000, async () => it.record.report.unready === undefined)
  status = { exited: true, exitcode: 3 }
  await it.pass(8_000)
  expect(it.record.report.unready).toContain('ended with 3')
  status = { exited: false }
  await it.pass(12_000)
  expect(it.record.report.unready).toContain('not ended within 2 s')
})

test('nothing is counted against a guest that is paused, frozen or on its way', async () => {
  const it = await makeGuest({ livenessProbe: ping }, () => new Error('no'), { pausedBy: 'user' })
  await it.pass(60_000)
  expect([it.fake.asked, it.all.failure]).toEqual([[], undefined])
})

test('a probe that this node does not run is said so, once, and counts as passed', async () => {
  const it = await makeGuest({ livenessProbe: { tcpSocket: {} } }, () => ({}))
  it.all.look(it.machine, { ...it.spec, readinessProbe: { httpGet: {} } })
  await it.pass(60_000)
  expect(it.record.report.unready).toBeUndefined()
  expect(it.record.report.events.map(({ reason, message }) => [reason, message.split(' ')[1]])).toEqual([
    ['ProbeNotSupported', 'liveness'],
    ['ProbeNotSupported', 'readiness'],
  ])
})
