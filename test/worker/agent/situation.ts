import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GuestRecord } from '../../../src/worker/guest/record.ts'
import { type GuestState, newState } from '../../../src/worker/guest/state.ts'
import { Turns } from '../../../src/worker/guest/turns.ts'
import { GuestAgent } from '../../../src/worker/agent/guest-agent.ts'
import type { Clock } from '../../../src/lib/clock.ts'
import { type AgentAnswers, FakeAgent } from '../../helpers/fake-agent.ts'
import { silentLog } from '../../helpers/worker.ts'

/** A running guest with an agent that says what the test wants, and what looks after it. */
export async function makeSituation(answers: AgentAnswers, clock: Clock, change: Partial<GuestState> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'vg-agent-'))
  const fake = await FakeAgent.open(answers)
  const guest = { uid: 'u', namespace: 'default', name: 'vm' }
  const state: GuestState = { ...newState(guest, 1), phase: 'Running', agentConnected: true, ...change }
  const record = new GuestRecord({ state, file: join(folder, 'state.json'), clock, publish() {} })
  const turns = new Turns()
  const agent = new GuestAgent({ record, turns, clock, log: silentLog })
  return {
    fake,
    record,
    turns,
    agent,
    machine: fake.machine(),
    async [Symbol.asyncDispose]() {
      await fake[Symbol.asyncDispose]()
      await agent[Symbol.asyncDispose]()
      await rm(folder, { recursive: true })
    },
  }
}

const COMMANDS = [
  'guest-ping',
  'guest-get-time',
  'guest-info',
  'guest-shutdown',
  'guest-network-get-interfaces',
  'guest-get-fsinfo',
  'guest-get-host-name',
  'guest-get-users',
  'guest-get-timezone',
  'guest-get-osinfo',
  'guest-fsfreeze-status',
]

/** What a well-behaved agent says. */
export const GOOD: Record<string, unknown> = {
  'guest-info': { version: '7.2', supported_commands: COMMANDS.map((name) => ({ name, enabled: true })) },
  'guest-fsfreeze-status': 'thawed',
  'guest-fsfreeze-freeze': 1,
  'guest-fsfreeze-thaw': 1,
  'guest-get-osinfo': { id: 'debian' },
  'guest-get-host-name': { 'host-name': 'vm' },
  'guest-get-timezone': { zone: 'UTC', offset: 0 },
  'guest-network-get-interfaces': [],
  'guest-get-users': [{ user: 'root', 'login-time': 1 }],
  'guest-get-fsinfo': [],
}
