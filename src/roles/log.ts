import { pino } from 'pino'
import type { AuditLog } from '../http/audit.ts'
import type { Log } from '../lib/log.ts'
import { RotatingFile, type RotationLimits } from './rotating-file.ts'

/** How much a log holds. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const MIB = 1024 * 1024
const LOG_LIMITS: RotationLimits = { maxBytes: 16 * MIB, backups: 3 }

/** How much of an audit log is kept, as command lines say it. */
export interface AuditLogOptions {
  /** MiB; 0 is no limit. */
  auditLogMaxsize: number
  /** Older files. */
  auditLogMaxbackup: number
}

/** MiB that what QEMU prints about a guest may have. */
export const QEMU_LOG_MAXSIZE = 8

/** A hundred MiB, and ten older files of the same size. */
export const AUDIT_LOG_DEFAULTS: AuditLogOptions = { auditLogMaxsize: 100, auditLogMaxbackup: 10 }

/**
 * A log of JSON lines: to a file, of which 16 MiB and three older ones are kept, or to standard error where none is
 * named. Each line is out before the call returns, so that a crash loses none.
 */
export function openLog(level: LogLevel, file?: string): Log {
  return open(level, null, file, LOG_LIMITS)
}

/** The log of who did what: lines with `"log":"audit"`, none of which a level holds back. */
export function openAuditLog(
  file: string | undefined,
  { auditLogMaxsize, auditLogMaxbackup }: AuditLogOptions,
): AuditLog {
  const limits = { maxBytes: auditLogMaxsize * MIB, backups: auditLogMaxbackup }
  return open('info', { log: 'audit' }, file, limits)
}

function open(
  level: LogLevel,
  base: Record<string, string> | null,
  file: string | undefined,
  limits: RotationLimits,
): Log {
  const options = { level, base, timestamp: pino.stdTimeFunctions.isoTime }
  if (file !== undefined) return pino(options, new RotatingFile(file, limits))
  return pino(options, pino.destination({ dest: 2, sync: true }))
}
