import type { Machine } from '../guest/machine.ts'

/** What QEMU knows of a migration. Source: `query-migrate`. */
export interface MigrateInfo {
  /** Absent where there was none. A QEMU that was a target once goes on saying `completed`. */
  status?: string
  'error-desc'?: string
  /** Milliseconds. */
  downtime?: number
  ram?: {
    total: number
    remaining: number
    transferred: number
    mbps: number
    'dirty-sync-count': number
    /** Pages in a second, as they were when the last round over the memory began. */
    'dirty-pages-rate': number
    'page-size': number
  }
  'socket-address'?: { port?: string }[]
}

/** Asks QEMU how the migration is. Throws as `Machine.command`. */
export async function queryMigrate(machine: Pick<Machine, 'command'>): Promise<MigrateInfo> {
  return machine.command<MigrateInfo>('query-migrate')
}

const UNDER_WAY: ReadonlySet<string> = new Set([
  'setup',
  'wait-unplug',
  'active',
  'pre-switchover',
  'device',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover',
  'postcopy-recover-setup',
  'cancelling',
])

/** Whether it has begun and not ended. */
export function isUnderWay(status: string | undefined): boolean {
  return status !== undefined && UNDER_WAY.has(status)
}
