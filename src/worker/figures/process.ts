/** What the kernel knows of a QEMU. Source: proc(5), `Documentation/scheduler/sched-stats` of Linux. */
import { readFile } from 'node:fs/promises'
import type { ProcessId } from '../../qemu/process.ts'

/** Ticks of `/proc/PID/stat` in a second: `USER_HZ`, the same on every Linux. */
const TICKS = 100
const KIB = 1024

/** CPU time in seconds, memory in bytes. */
export interface ProcessFigures {
  userSeconds: number
  systemSeconds: number
  residentBytes: number | undefined
}

/** Of that very process; `undefined` where it is gone. */
export async function readProcess({ pid, startTicks }: ProcessId): Promise<ProcessFigures | undefined> {
  const stat = await readProc(`${pid}/stat`)
  // The name, in brackets, may hold anything; the fields are counted from behind it.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? []
  if (fields[19] !== startTicks) return undefined
  const [, resident = ''] = /^VmRSS:\s*(\d+) kB$/m.exec((await readProc(`${pid}/status`)) ?? '') ?? []
  return {
    userSeconds: Number(fields[11]) / TICKS,
    systemSeconds: Number(fields[12]) / TICKS,
    residentBytes: resident === '' ? undefined : Number(resident) * KIB,
  }
}

/** Times of one thread, in seconds. */
export interface ThreadFigures {
  runSeconds: number
  /** Ready to run, and queued. */
  delaySeconds: number
  /** Told by kernels that keep statistics of their scheduler. */
  waitSeconds: number | undefined
}

/** Of a thread of a process; `undefined` where it is gone, or the kernel does not tell. */
export async function readThread(pid: number, threadId: number): Promise<ThreadFigures | undefined> {
  const [run = '', delay = ''] = (await readProc(`${pid}/task/${threadId}/schedstat`))?.split(' ') ?? []
  if (run === '' || delay === '') return undefined
  const sched = await readProc(`${pid}/task/${threadId}/sched`)
  return {
    runSeconds: Number(run) / 1e9,
    delaySeconds: Number(delay) / 1e9,
    waitSeconds: parseWait(sched ?? ''),
  }
}

/** Source: `wait_sum` of `/proc/PID/sched`, in milliseconds. */
export function parseWait(sched: string): number | undefined {
  const [, ms = ''] = /^(?:se\.statistics\.|stats\.)?wait_sum\s*:\s*([\d.]+)$/m.exec(sched) ?? []
  return ms === '' ? undefined : Number(ms) / 1000
}

async function readProc(path: string): Promise<string | undefined> {
  try {
    return await readFile(`/proc/${path}`, 'utf8')
  } catch {
    // It has ended, or the kernel is built without it.
    return undefined
  }
}
