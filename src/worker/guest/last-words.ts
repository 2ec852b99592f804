import type { QmpEvent } from '../../qemu/qmp/client.ts'

/** What QEMU last told before it ended, or before its guest stood still. */
export interface LastWords {
  /** `reason` of the event `SHUTDOWN`, such as `guest-shutdown` or `host-signal`. */
  shutdown?: string
  /** Action of the event `WATCHDOG`. */
  watchdog?: string
  /** The guest's storage was full, by the event `BLOCK_IO_ERROR`. */
  noSpace?: boolean
  /** `reason` of the event `BLOCK_IO_ERROR`. */
  ioError?: string
  /** Why a memory dump has failed, by the event `DUMP_COMPLETED`. */
  dumpError?: string
}

/** Keeps what an event tells of that. */
export function noteLastWords(words: LastWords, { event, data }: QmpEvent): void {
  if (event === 'SHUTDOWN') words.shutdown = String(data.reason)
  if (event === 'RESUME') delete words.shutdown
  if (event === 'WATCHDOG') words.watchdog = String(data.action)
  if (event === 'BLOCK_IO_ERROR') {
    words.noSpace = data.nospace === true
    words.ioError = String(data.reason)
  }
  if (event === 'DUMP_COMPLETED' && typeof data.error === 'string') words.dumpError = data.error
}
