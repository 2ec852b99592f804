import {
  type AgentFileSystem,
  type AgentInterface,
  type AgentUser,
  type AgentVersion,
  type GuestLoad,
  type OsInfo,
  readFileSystems,
  readFreezeStatus,
  readHostname,
  readInterfaces,
  readLoad,
  readOsInfo,
  readTimezone,
  readUsers,
  readVersion,
} from '../../qemu/qga/answers.ts'
import type { AgentInfo } from '../../rpc/actions.ts'
import type { AgentReport } from './view.ts'

/** All that an agent has said so far. */
export interface AgentFacts {
  version?: AgentVersion
  os: OsInfo
  hostname?: string
  timezone?: string
  interfaces: AgentInterface[]
  users: AgentUser[]
  fileSystems: AgentFileSystem[]
  freezeStatus?: 'thawed' | 'frozen'
  load?: GuestLoad
}

/** A question that is asked again and again. */
export interface Poll {
  command: string
  /** Longest time between two of them. */
  periodMs: number
  /** Of agents so new that only those are asked which say that they know it. */
  isNew?: boolean
  /** The facts with its answer. */
  take: (facts: AgentFacts, answer: unknown) => AgentFacts
}

/** Before anything is known. */
export const NOTHING: AgentFacts = { os: {}, interfaces: [], users: [], fileSystems: [] }

/** Of file systems, also asked while some are frozen by somebody else. */
export const FREEZE_STATUS = 'guest-fsfreeze-status'

/** What is asked, the first first. Source: contract worker-qemu 2.14. */
export const POLLS: readonly Poll[] = [
  poll('guest-info', 300_000, (facts, answer) => ({ ...facts, version: readVersion(answer) })),
  poll(FREEZE_STATUS, 5_000, (facts, answer) => withText(facts, 'freezeStatus', readFreezeStatus(answer))),
  poll('guest-get-osinfo', 120_000, (facts, answer) => ({ ...facts, os: readOsInfo(answer) })),
  poll('guest-get-host-name', 120_000, (facts, answer) => withText(facts, 'hostname', readHostname(answer))),
  poll('guest-get-timezone', 120_000, (facts, answer) => withText(facts, 'timezone', readTimezone(answer))),
  poll('guest-network-get-interfaces', 120_000, (facts, answer) => ({
    ...facts,
    interfaces: readInterfaces(answer),
  })),
  poll('guest-get-users', 10_000, (facts, answer) => ({ ...facts, users: readUsers(answer) })),
  poll('guest-get-fsinfo', 300_000, (facts, answer) => ({ ...facts, fileSystems: readFileSystems(answer) })),
  {
    ...poll('guest-get-load', 30_000, (facts, answer) => ({ ...facts, load: readLoad(answer) })),
    isNew: true,
  },
]

/** Commands that an agent has to know to be of use. Source: contract worker-qemu 2.14, "Supported". */
const REQUIRED = [
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
]

function poll(command: string, periodMs: number, take: Poll['take']): Poll {
  return { command, periodMs, take }
}

/** The facts with one of their texts; without it where the agent did not say. */
function withText<K extends 'hostname' | 'timezone' | 'freezeStatus'>(
  facts: AgentFacts,
  name: K,
  text: AgentFacts[K] | undefined,
): AgentFacts {
  const { [name]: _before, ...others } = facts
  // `others` has all that may not be absent.
  return { ...(others as AgentFacts), ...(text !== undefined && { [name]: text }) }
}

/** Whether the agent has a command, as far as it has said; all of them before it was asked. */
function knows({ version }: AgentFacts, command: string): boolean {
  return version?.commands.some(({ name, enabled }) => name === command && enabled !== false) ?? true
}

/** Whether a question may be asked of the agent; what it knows is asked first, and always. */
export function mayAsk(facts: AgentFacts, { command, isNew = false }: Poll): boolean {
  if (command === 'guest-info') return true
  return knows(facts, command) && !(isNew && facts.version === undefined)
}

/** What of it becomes part of the guest's report. */
export function reportOf(facts: AgentFacts): AgentReport {
  const { os, interfaces, freezeStatus, version } = facts
  return {
    os,
    interfaces,
    frozen: freezeStatus === 'frozen',
    ...(version && { supported: REQUIRED.every((command) => knows(facts, command)) }),
  }
}

/** What of it is answered to who asks. Source: contract 5.1 and 5.2. */
export function infoOf(facts: AgentFacts): AgentInfo {
  const { version, os, hostname, timezone, users, fileSystems, freezeStatus } = facts
  return {
    info: {
      ...(version?.version !== undefined && { guestAgentVersion: version.version }),
      ...(version && { supportedCommands: version.commands }),
      ...(hostname !== undefined && { hostname }),
      os,
      ...(timezone !== undefined && { timezone }),
      ...(freezeStatus && { fsFreezeStatus: freezeStatus }),
    },
    users,
    filesystems: fileSystems,
  }
}
