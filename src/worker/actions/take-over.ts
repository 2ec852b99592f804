import type { Log } from '../../lib/log.ts'
import { printable } from '../../lib/printable.ts'
import type { Guest } from '../guest/guest.ts'

/** Characters of a user's name that are written down. */
const USER_LIMIT = 256

/** Who lost a stream to whom. */
export interface TakeOver {
  stream: 'console' | 'VNC'
  from: string
  to: string
}

/** Writes down that somebody took a stream over, with both users. Source: security C2. */
export function noteTakeOver(guest: Guest, log: Log, { stream, from, to }: TakeOver): void {
  log.info({ vmi: guest.report.guest, stream, from, to }, 'a session was taken over')
  guest.note([
    'Normal',
    'SessionTakenOver',
    `${to || 'Somebody'} took the ${stream} over from ${from || 'somebody'}.`,
  ])
}

/** A user's name as it is written down. */
export function userOf({ user }: { user: string }): string {
  return printable(user, USER_LIMIT)
}
