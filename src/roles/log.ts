import { pino } from 'pino'
import type { AuditLog } from '../http/audit.ts'
import type { Log } from '../lib/log.ts'

/** How much a log holds. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/**
 * A log of JSON lines: to a file, appended, or to standard error where none is named. Each line is out before the call
 * returns, so that a crash loses none.
 */
export function openLog(level: LogLevel, file?: string): Log {
  return open(level, null, file)
}

/**
 * The log of who did what: lines with `"log":"audit"`, none of which a level holds back. A file is appended to, so that
 * it may be cut by whoever rotates logs.
 */
export function openAuditLog(file?: string): AuditLog {
  return open('info', { log: 'audit' }, file)
}

function open(level: LogLevel, base: Record<string, string> | null, file?: string): Log {
  return pino(
    { level, base, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({
      dest: file ?? 2,
      append: true,
      sync: true,
      mkdir: true,
      mode: 0o600,
    }),
  )
}
