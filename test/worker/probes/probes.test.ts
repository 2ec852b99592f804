import { once } from 'node:events'
import { PassThrough, type Duplex } from 'node:stream'
import { afterEach, expect, test } from 'vitest'
import { serviceUnavailable } from '../../../src/lib/errors.ts'
import { QmpClosed } from '../../../src/qemu/qmp/client.ts'
import type { Probe } from '../../../src/worker/probes/handler.ts'
import { Probes } from '../../../src/worker/probes/probes.ts'
import type { GuestState } from '../../../src/worker/guest/state.ts'
import type { AgentAnswers } from '../../helpers/fake-agent.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { eventually } from '../../helpers/server.ts'
import { silentLog } from '../../helpers/worker.ts'
import { makeSituation } from '../agent/situation.ts'

const cleanups: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of cleanups.splice(0)) await each[Symbol.asyncDispose]()
})

/** A guest with these probes, whose agent answers so. */
async function makeGuest(
  probes: { livenessProbe?: Probe; readinessProbe?: Probe },
  answers: AgentAnswers,
  change: Partial<GuestState> = {},
  dial: (port: number, signal: AbortSignal) => Promise<Duplex | undefined | void> = async () => undefined,
) {
  const clock = createFakeClock()
  const it = await makeSituation(answers, clock, change)
  let rings = 0
  const dialled: number[] = []
  const all = new Probes({
    record: it.record,
    clock,
    log: silentLog,
    dial: async (_machine, port, signal) => {
      dialled.push(port)
      return (await dial(port, signal)) ?? undefined
    },
    onFailure: () => (rings += 1),
  })
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
  return { ...it, all, spec, clock, pass, dialled, rings: () => rings }
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

const web = (handler: object): Probe => ({ ...handler, periodSeconds: 5, failureThreshold: 2 })

test('a port decides by whether it is open', async () => {
  let isOpen = false
  const it = await makeGuest(
    { readinessProbe: web({ tcpSocket: { port: 22 } }) },
    () => undefined,
    {},
    async () => {
      if (isOpen) return new PassThrough()
      throw serviceUnavailable('the guest refuses connections to TCP port 22')
    },
  )
  await it.pass(1_000)
  expect(it.record.report.unready).toContain('not succeeded yet')
  isOpen = true
  await it.pass(6_000)
  expect(it.record.report.unready).toBeUndefined()
  isOpen = false
  await it.pass(11_000)
  expect(it.record.report.unready).toContain('refuses connections to TCP port 22')
  expect(new Set(it.dialled)).toEqual(new Set([22]))
  // The agent is not asked.
  expect(it.fake.asked).toEqual([])
})

test('a guest that does not accept connections in time has failed, and the connection is given up', async () => {
  const it = await makeGuest(
    { livenessProbe: { ...web({ tcpSocket: { port: 22 } }), timeoutSeconds: 3 } },
    () => undefined,
    {},
    async (_port, signal) => {
      await once(signal, 'abort')
      signal.throwIfAborted()
    },
  )
  await it.pass(2_000)
  expect(it.all.failure).toBeUndefined()
  await it.pass(12_000)
  expect(it.all.failure).toBe('its liveness probe has failed: it has not answered within 3 s')
})

test('a node that cannot look counts nothing against the guest', async () => {
  const it = await makeGuest(
    { livenessProbe: web({ tcpSocket: { port: 22 } }) },
    () => undefined,
    {},
    () => Promise.reject(new QmpClosed('query', 'it ended')),
  )
  await it.pass(60_000)
  expect(it.dialled.length).toBeGreaterThan(3)
  expect(it.all.failure).toBeUndefined()
})

test('a guest that has no address yet is not ready', async () => {
  const it = await makeGuest({ readinessProbe: web({ httpGet: { port: 80 } }) }, () => undefined)
  await it.pass(12_000)
  expect(it.record.report.unready).toContain('its node knows no address of it')
})

test.each<[string, Probe, string]>([
  [
    'another host',
    { tcpSocket: { host: 'example.org', port: 22 } } as Probe,
    'tcpSocket.host is not supported',
  ],
  [
    'a port that has no such name',
    { httpGet: { port: 'www' } } as Probe,
    'no interface has a TCP port called "www"',
  ],
  ['a port that is none', { tcpSocket: { port: 0 } } as Probe, '0 is no port'],
])('a probe for %s is not run, which is said once, and counts as passed', async (_what, probe, words) => {
  const it = await makeGuest({ livenessProbe: probe }, () => ({}))
  it.all.look(it.machine, { ...it.spec, readinessProbe: probe })
  await it.pass(30_000)
  expect(it.record.report.unready).toBeUndefined()
  expect(it.dialled).toEqual([])
  expect(it.record.report.events.map(({ reason, message }) => [reason, message])).toEqual([
    ['ProbeNotSupported', expect.stringMatching(/^The liveness probe is not run, and counts as passed: /)],
    ['ProbeNotSupported', expect.stringContaining(words)],
  ])
})
