import type { Duplex } from 'node:stream'
import { badRequest } from '../../lib/errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { ConsoleLogOptions } from '../../rpc/actions.ts'
import type { Guest } from '../guest/guest.ts'
import { readConsoleLog } from '../streams/log-reader.ts'
import { LogStream } from '../streams/log-stream.ts'

/**
 * What the guest has printed at its serial console; of one that has ended, too. Throws 400 where nothing is written down
 * of it or the options make no sense, 503 where its QEMU does not answer.
 */
export async function openConsoleLog(
  guest: Guest,
  options: ConsoleLogOptions,
  clock: Clock,
): Promise<Duplex> {
  const { sinceTime } = options
  if (sinceTime !== undefined && Number.isNaN(Date.parse(sinceTime))) {
    throw badRequest(`sinceTime is ${JSON.stringify(sinceTime)}, which is no time`)
  }
  const log = guest.consoleLog()
  return new LogStream((signal) => readConsoleLog(log, options, { clock, signal }))
}
