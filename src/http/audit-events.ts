/** The Events that actions of people leave on an object. The node's own, such as `Paused`, say what came of it. */
import { printable } from '../lib/printable.ts'
import type { Subresource } from '../subresources/subresource.ts'

/** An Event's reason and its message. */
export interface AuditEvent {
  reason: string
  message: string
}

/** Names that are several words, or an abbreviation. */
const WORDS: Record<string, string> = {
  addvolume: 'AddVolume',
  guestexec: 'GuestExec',
  injectlaunchsecret: 'InjectLaunchSecret',
  memorydump: 'MemoryDump',
  portforward: 'PortForward',
  removememorydump: 'RemoveMemoryDump',
  removevolume: 'RemoveVolume',
  setupsession: 'SetupSession',
  sev: 'SEV',
  softreboot: 'SoftReboot',
  usbredir: 'USBRedirection',
  vnc: 'VNC',
  vsock: 'VSOCK',
}
const NAME_LIMIT = 256

/** What is said of something that was granted; nothing for what only reads. */
export function eventOf(subresource: Subresource, user: string): AuditEvent | undefined {
  switch (subresource.type) {
    case 'action':
      return describe(subresource, user, 'Requested', 'was requested')
    case 'download':
      return describe(subresource, user, 'Read', 'was read')
    case 'stream':
      return describe(subresource, user, 'Opened', 'was opened')
    default:
      return undefined
  }
}

/** What is said when a stream has closed; nothing of connections, of which there may be hundreds. */
export function closingEventOf(
  subresource: Extract<Subresource, { type: 'stream' }>,
  user: string,
): AuditEvent | undefined {
  return subresource.halfClose ? undefined : describe(subresource, user, 'Closed', 'was closed')
}

function describe({ name }: Subresource, user: string, suffix: string, what: string): AuditEvent {
  const words = name.split(/[/-]/).map((word) => WORDS[word] ?? word.charAt(0).toUpperCase() + word.slice(1))
  // Numbers stay out of it, so that what repeats is counted and not written each time.
  return {
    reason: `${words.join('')}${suffix}`,
    message: `${name} ${what}: user "${printable(user, NAME_LIMIT)}"`,
  }
}
