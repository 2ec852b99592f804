import { expect, test } from 'vitest'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { eventually } from '../../helpers/server.ts'
import { GOOD, makeSituation } from './situation.ts'

const good = ({ execute }: { execute: string }) => GOOD[execute]

test('all is asked when the agent comes, and again in growing steps; nothing while the guest is paused', async () => {
  const clock = createFakeClock()
  await using it = await makeSituation(good, clock)
  const { fake, agent, machine, record } = it
  agent.look(machine)
  await eventually('first round', 5_000, async () => fake.asked.includes('guest-get-fsinfo'))
  await eventually('quiet', 5_000, async () => clock.pending() === 1)
  expect(agent.info()).toMatchObject({
    info: { guestAgentVersion: '7.2', hostname: 'vm', timezone: 'UTC, 0', os: { id: 'debian' } },
    users: [{ userName: 'root', loginTime: 1 }],
  })
  expect(record.report.status.guestOSInfo).toEqual({ id: 'debian' })

  const count = (name: string) => fake.asked.filter((each) => each === name).length
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 5_000) {
      clock.advance(5_000)
      await eventually('quiet', 5_000, async () => clock.pending() === 1)
    }
  }
  fake.asked.length = 0
  await pass(70_000)
  expect(count('guest-get-osinfo')).toBe(3) // after 10, 30 and 70 s
  expect(count('guest-get-users')).toBe(7)
  expect(count('guest-fsfreeze-status')).toBe(14)

  record.change({ pausedBy: 'user' })
  fake.asked.length = 0
  clock.advance(60_000)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(fake.asked).toEqual([])
  record.change({ pausedBy: undefined })
  agent.look(machine)
  await eventually('asked again', 5_000, async () => fake.asked.includes('guest-get-users'))
})

test('an agent that lacks commands is said to be too old, and is not asked what it does not know', async () => {
  const old = {
    version: '1',
    supported_commands: [
      { name: 'guest-info', enabled: true },
      { name: 'guest-get-users', enabled: false },
    ],
  }
  await using it = await makeSituation(
    ({ execute }) => (execute === 'guest-info' ? old : 'thawed'),
    createFakeClock(),
  )
  it.agent.look(it.machine)
  await eventually('condition', 5_000, async () =>
    it.record.report.conditions.some(({ type }) => type === 'AgentVersionNotSupported'),
  )
  expect(it.fake.asked).not.toContain('guest-get-users')
})

test('the load is asked of agents that say they know it, and is told as long as the guest runs', async () => {
  const clock = createFakeClock()
  const knowing = {
    version: '10.0',
    supported_commands: [{ name: 'guest-get-load', enabled: true }],
  }
  const load = { load1m: 0.25, load5m: 1, load15m: -1 }
  let hasSaid = false
  await using it = await makeSituation(({ execute }) => {
    if (execute === 'guest-info') return hasSaid ? knowing : new Error('not now')
    return execute === 'guest-get-load' ? load : GOOD[execute]
  }, clock)
  const { agent, machine, record, fake } = it
  agent.look(machine)
  // It has not said what it knows: all but this is asked.
  await eventually('first round', 5_000, async () => fake.asked.includes('guest-get-fsinfo'))
  await eventually('quiet', 5_000, async () => clock.pending() === 1)
  expect(fake.asked).not.toContain('guest-get-load')
  hasSaid = true
  clock.advance(10_000)
  // What makes no sense is left out.
  expect(await eventually('load', 5_000, async () => agent.load())).toEqual({ '1m': 0.25, '5m': 1 })
  record.change({ pausedBy: 'user' })
  expect(agent.load()).toBeUndefined()
})

test('an agent that goes takes along what it has said', async () => {
  await using it = await makeSituation(good, createFakeClock())
  const { agent, machine, record } = it
  agent.look(machine)
  await eventually('asked', 5_000, async () => record.report.status.guestOSInfo)
  machine.hasAgent = false
  agent.look(machine)
  expect(record.report.status.guestOSInfo).toBeUndefined()
  expect(() => agent.info()).toThrow(expect.objectContaining({ code: 409 }))
})

test('an agent that talks nonsense is asked less and less, and its guest is no worse off', async () => {
  const clock = createFakeClock()
  await using it = await makeSituation((_command, socket) => void socket.write('{"return":}\n'), clock)
  const { agent, machine, fake, record } = it
  agent.look(machine)
  const asked: number[] = []
  for (let round = 0; round < 5; round += 1) {
    await eventually('quiet', 5_000, async () => clock.pending() > 0)
    fake.asked.length = 0
    clock.advance(60_000)
    await new Promise((resolve) => setTimeout(resolve, 50))
    asked.push(fake.asked.filter((name) => name !== 'guest-fsfreeze-status').length)
  }
  expect(asked.reduce((sum, each) => sum + each, 0)).toBeLessThan(6)
  expect(record.report.status).toEqual({})
})

test('a guest that lists a million of everything makes a small report', async () => {
  const entry = {
    name: 'x'.repeat(1000),
    'hardware-address': '02:00:00:00:00:09',
    'ip-addresses': [{ 'ip-address': '10.0.0.1' }],
  }
  const lots = Array.from({ length: 800 }, () => entry)
  await using it = await makeSituation(
    ({ execute }) => (execute === 'guest-network-get-interfaces' ? lots : GOOD[execute]),
    createFakeClock(),
  )
  it.agent.look(it.machine)
  const interfaces = await eventually('interfaces', 5_000, async () => it.record.report.status.interfaces)
  expect(interfaces.length).toBe(64)
  expect(JSON.stringify(it.record.report).length).toBeLessThan(64 * 1024)
})
