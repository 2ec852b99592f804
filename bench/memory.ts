import { readFile } from 'node:fs/promises'

/** Memory of one process or of several, in KiB. Source: proc(5), `/proc/PID/smaps_rollup`. */
export interface Memory {
  /** Resident, with all that is shared with others. */
  rss: number
  /** Resident, each shared page divided by the number of those who share it; this very process is one of them. */
  pss: number
  /** What would be free if the process ended. */
  own: number
}

/** What a process holds now. */
export async function memoryOf(pid: number): Promise<Memory> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
  const field = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1])
  return { rss: field('Rss'), pss: field('Pss'), own: field('Private_Clean') + field('Private_Dirty') }
}

/** Processes of the same program together: what they share, which is mostly the program itself, counts once. */
export function together(processes: readonly Memory[]): Memory {
  const sum = (of: (one: Memory) => number) => processes.reduce((total, one) => total + of(one), 0)
  const shared = Math.max(...processes.map(({ rss, own }) => rss - own))
  const own = sum((one) => one.own)
  return { rss: own + shared, pss: sum(({ pss }) => pss), own }
}

/** KiB as MiB with one digit. */
export function mebibytes(kibibytes: number): string {
  return (kibibytes / 1024).toFixed(1)
}
