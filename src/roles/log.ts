import { pino } from 'pino'
import type { Log } from '../lib/log.ts'

/** How much a log holds. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/**
 * A log of JSON lines: to a file, appended, or to standard error where none is named. Each line is out before the call
 * returns, so that a crash loses none.
 */
export function openLog(level: LogLevel, file?: string): Log {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({
      dest: file ?? 2,
      sync: true,
      mkdir: true,
      mode: 0o600,
    }),
  )
}
