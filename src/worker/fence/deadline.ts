import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isRecord } from '../../lib/json.ts'
import { unlessMissing } from '../files/errno.ts'

/** Until when guests that may be started elsewhere may run here, unless a leader is heard of. */
export interface Deadline {
  bootId: string
  /** By `uptimeMs`. */
  atMs: number
}

/** A sign of life of the guard. */
export interface GuardSign {
  bootId: string
  pid: number
  /** By `uptimeMs`. */
  atMs: number
}

const DEADLINE = 'deadline.json'
const SIGN = 'guard.json'

/** Where it stands in a state directory; the guard ends where it is gone. */
export function deadlineFile(stateDir: string): string {
  return join(stateDir, DEADLINE)
}

export async function readDeadline(stateDir: string): Promise<Deadline | undefined> {
  const found = await read(deadlineFile(stateDir))
  return found && { bootId: String(found.bootId), atMs: Number(found.atMs) }
}

/** Need not outlive a loss of power: no guest does. */
export async function writeDeadline(stateDir: string, deadline: Deadline): Promise<void> {
  await replace(deadlineFile(stateDir), deadline)
}

export async function removeDeadline(stateDir: string): Promise<void> {
  await rm(deadlineFile(stateDir), { force: true })
}

export async function readSign(stateDir: string): Promise<GuardSign | undefined> {
  const found = await read(join(stateDir, SIGN))
  if (!found) return undefined
  const { bootId, pid, atMs } = found
  return { bootId: String(bootId), pid: Number(pid), atMs: Number(atMs) }
}

export async function writeSign(stateDir: string, sign: GuardSign): Promise<void> {
  await replace(join(stateDir, SIGN), sign)
}

async function replace(file: string, content: object): Promise<void> {
  const scratch = `${file}.new`
  await writeFile(scratch, JSON.stringify(content), { mode: 0o600 })
  await rename(scratch, file)
}

async function read(file: string): Promise<Record<string, unknown> | undefined> {
  const text = await unlessMissing(readFile(file, 'utf8'))
  const value: unknown = text === undefined ? undefined : JSON.parse(text)
  return isRecord(value) ? value : undefined
}
