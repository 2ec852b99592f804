/** What the kernel knows of a QEMU. Source: proc(5), `Documentation/scheduler/sched-stats` of Linux. */
import type { ProcessId } from '../../qemu/process.ts'
import { readKernelFile } from './kernel-file.ts'

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
export function readProcess({ pid, startTicks }: ProcessId): ProcessFigures | undefined {
  const stat = readKernelFile(`/proc/${pid}/stat`)
  // The name, in brackets, may hold anything; the fields are counted from behind it.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? []
  if (fields[19] !== startTicks) return undefined
  const status = readKernelFile(`/proc/${pid}/status`) ?? ''
  const [, resident = ''] = /^VmRSS:\s*(\d+) kB$/m.exec(status) ?? []
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
export function readThread(pid: number, threadId: number): ThreadFigures | undefined {
  const task = `/proc/${pid}/task/${threadId}`
  const [run = '', delay = ''] = readKernelFile(`${task}/schedstat`)?.split(' ') ?? []
  if (run === '' || delay === '') return undefined
  return {
    runSeconds: Number(run) / 1e9,
    delaySeconds: Number(delay) / 1e9,
    waitSeconds: parseWait(readKernelFile(`${task}/sched`) ?? ''),
  }
}

/** Source: `wait_sum` of `/proc/PID/sched`, in milliseconds. */
export function parseWait(sched: string): number | undefined {
  const [, ms = ''] = /^(?:se\.statistics\.|stats\.)?wait_sum\s*:\s*([\d.]+)$/m.exec(sched) ?? []
  return ms === '' ? undefined : Number(ms) / 1000
}
