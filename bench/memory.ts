import { readFile } from 'node:fs/promises'

/** Memory of one process, in KiB. Source: proc(5), `/proc/PID/smaps_rollup`. */
export interface Memory {
  /** Resident, shared pages in full. */
  rss: number
  /** Resident, each shared page divided by the processes that share it. */
  pss: number
  /** What would be free again if the process ended. */
  unique: number
}

/** What a process holds now. */
export async function memoryOf(pid: number): Promise<Memory> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
  const field = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1])
  return {
    rss: field('Rss'),
    pss: field('Pss'),
    unique: field('Private_Clean') + field('Private_Dirty'),
  }
}

/** KiB as MiB with one digit, for tables. */
export function mebibytes(kibibytes: number): string {
  return (kibibytes / 1024).toFixed(1)
}
