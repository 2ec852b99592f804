import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { QmpClosed, QmpTimeout } from '../../../src/qemu/qmp/client.ts'
import { observe, type ObservedMachine } from '../../../src/worker/guest/observe.ts'
import { type Change, GuestRecord } from '../../../src/worker/guest/record.ts'
import { type GuestState, newState } from '../../../src/worker/guest/state.ts'
import { silentLog } from '../../helpers/worker.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virtgate-observe-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

function recordOf(change: Partial<GuestState>): GuestRecord {
  const state = { ...newState({ uid: 'u', namespace: 'default', name: 'vm' }, 1), ...change }
  return new GuestRecord({ state, file: join(folder, 'state.json'), clock: systemClock, publish() {} })
}

/** A machine in that run state, which notes the commands it gets. */
function machineIn(state: string | Error, commands: string[] = []): ObservedMachine {
  return {
    runState: async () => {
      if (state instanceof Error) throw state
      return state
    },
    async command<T>(name: string): Promise<T> {
      commands.push(name)
      return {} as T
    },
    lastWords: {},
    hasAgent: false,
    retryAtMs: undefined,
    missedLooks: 0,
  }
}

const look = (machine: ObservedMachine, record: GuestRecord) =>
  observe(machine, {
    record,
    clock: systemClock,
    log: silentLog,
    isHeld: async () => false,
    mayRun: () => true,
  })
const running = { phase: 'Running' } as const

test.each<[string, Partial<GuestState>, Change, string[]]>([
  ['running', {}, { phase: 'Running' }, []],
  ['running', { ...running, pausedBy: 'io-error' }, { phase: 'Running', pausedBy: undefined }, []],
  ['paused', running, { phase: 'Running', pausedBy: 'user' }, []],
  ['io-error', running, { phase: 'Running', pausedBy: 'io-error' }, []],
  ['watchdog', running, { phase: 'Running', pausedBy: 'unknown' }, []],
  ['suspended', {}, { phase: 'Running', pausedBy: undefined }, []],
  ['prelaunch', {}, { phase: 'Scheduled' }, ['cont']],
  ['prelaunch', { ...running, pausedBy: 'user' }, { pausedBy: 'user' }, []],
  ['prelaunch', { ...running, pausedBy: 'io-error' }, {}, ['cont']],
  [
    'shutdown',
    { ...running, rebootUntilMs: Date.now() + 60_000 },
    { phase: 'Running' },
    ['system_reset', 'cont'],
  ],
])('in state %s, known as %j, a guest becomes %j by %j', async (runState, before, after, expected) => {
  const record = recordOf(before)
  const commands: string[] = []
  expect(await look(machineIn(runState, commands), record)).not.toHaveProperty('end')
  expect(record.state).toMatchObject(Object.fromEntries(Object.entries(after).filter(([, value]) => value)))
  expect(record.state.pausedBy).toBe('pausedBy' in after ? after.pausedBy : before.pausedBy)
  expect(commands).toEqual(expected)
})

test('a guest that is to start paused does, with its cables out', async () => {
  const launch = { binary: '/qemu', argvHash: '', startsPaused: true, linksDown: ['ua-a', 'ua-b'] }
  const record = recordOf({ launch })
  const commands: string[] = []
  await look(machineIn('prelaunch', commands), record)
  expect(commands).toEqual(['set_link', 'set_link'])
  expect(record.state).toMatchObject({ phase: 'Running', pausedBy: 'user' })
})

test.each([
  ['shutdown', {}, 'Succeeded'],
  ['shutdown', { rebootUntilMs: Date.now() - 1 }, 'Succeeded'],
  ['guest-panicked', {}, 'Failed'],
  ['internal-error', {}, 'Failed'],
])('the state %s, known as %j, is the end: %s', async (runState, before, phase) => {
  expect(await look(machineIn(runState), recordOf({ ...running, ...before }))).toMatchObject({
    end: { phase },
  })
})

test('three looks without an answer are reported, and an answer ends that; a closed monitor is no news', async () => {
  const record = recordOf(running)
  const silent = machineIn(new QmpTimeout('query-status', 1))
  await look(silent, record)
  await look(silent, record)
  expect(record.report.conditions).toEqual([])
  await look(silent, record)
  expect(record.report).toMatchObject({
    phase: 'Running',
    conditions: [{ type: 'Synchronized', status: 'False', reason: 'Unresponsive' }],
  })
  await look(machineIn(new QmpClosed('gone')), record)
  await look(machineIn('running'), record)
  expect(record.report.conditions).toEqual([])
})

test('the state of a guest that has nothing to tell is asked for now and then', async () => {
  expect(await look(machineIn('running'), recordOf(running))).toEqual({ waitMs: 10_000 })
})
