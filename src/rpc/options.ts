/** What goes with an action is held against its type when it arrives. Each check throws 400 naming the field. */
import { badRequest } from '../lib/errors.ts'
import { isRecord, type JsonRecord } from '../lib/json.ts'
import type {
  BackupCheckpoint,
  BackupOptions,
  ConsoleLogOptions,
  ConsoleOptions,
  ExecOptions,
  FreezeOptions,
  IncomingRequest,
  MigrationRef,
  OutgoingRequest,
  PortForwardOptions,
  ScreenshotOptions,
  SevSecret,
  VncOptions,
  VsockOptions,
} from './actions.ts'
import { checkSync } from './check.ts'

type Check = (value: unknown) => boolean

const text: Check = (value) => typeof value === 'string'
const flag: Check = (value) => typeof value === 'boolean'
const record: Check = isRecord
const count: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0
const positive: Check = (value) => count(value) && value !== 0
const number: Check = (value) => typeof value === 'number' && Number.isFinite(value) && value >= 0
const oneOf =
  (...words: string[]): Check =>
  (value) =>
    words.some((word) => word === value)
const upTo =
  (limit: number): Check =>
  (value) =>
    positive(value) && Number(value) <= limit
const userName: Check = (value) => text(value) && String(value).length <= 256
const texts: Check = (value) => Array.isArray(value) && value.length > 0 && value.every(text)
const maybe =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value)

/** Checks the fields of a record; what is not among them is dropped. */
function shape<T>(fields: { [K in keyof Required<T>]: Check }): (value: unknown) => T {
  return (value) => {
    if (!isRecord(value)) throw badRequest('the options are no JSON object')
    const checked: JsonRecord = {}
    for (const [name, check] of Object.entries<Check>(fields)) {
      if (!check(value[name])) throw badRequest(`the options are not as expected at "${name}"`)
      if (value[name] !== undefined) checked[name] = value[name]
    }
    // Each field of T has just been held against its check.
    return checked as T
  }
}

const guest: Check = (value) => isRecord(value) && [value.uid, value.namespace, value.name].every(text)
const tls: Check = (value) => isRecord(value) && [value.ca, value.cert, value.key, value.peerName].every(text)
const reply: Check = (value) =>
  isRecord(value) && text(value.address) && isRecord(value.ports) && Object.values(value.ports).every(count)

export const checkFreeze = shape<FreezeOptions>({ unfreezeSeconds: count })
export const checkExec = shape<ExecOptions>({ command: texts, timeoutSeconds: count })
export const checkConsole = shape<ConsoleOptions>({
  mode: oneOf('write', 'view'),
  preserveSession: flag,
  user: userName,
})
export const checkConsoleLog = shape<ConsoleLogOptions>({
  tailLines: maybe(count),
  sinceTime: maybe(text),
  limitBytes: maybe(positive),
  follow: flag,
  timestamps: flag,
})
export const checkVnc = shape<VncOptions>({ preserveSession: flag, maxSessions: positive, user: userName })
export const checkScreenshot = shape<ScreenshotOptions>({ moveCursor: flag })
export const checkVsock = shape<VsockOptions>({ port: upTo(2 ** 32 - 1), tls: flag })
export const checkPortForward = shape<PortForwardOptions>({
  port: upTo(65_535),
  protocol: oneOf('tcp', 'udp'),
})
export const checkSevSecret = shape<SevSecret>({ header: text, secret: text })
export const checkBackup = shape<BackupOptions>({
  backupName: maybe(text),
  cmd: maybe(oneOf('Start', 'Abort', 'Export')),
  mode: maybe(oneOf('Push', 'Pull')),
  backupStartTime: maybe(text),
  incremental: maybe(text),
  targetPath: maybe(text),
  skipQuiesce: maybe(flag),
  exportServerAddr: maybe(text),
  exportServerName: maybe(text),
  backupKey: maybe(text),
  backupCert: maybe(text),
  caCert: maybe(text),
})
export const checkCheckpoint = shape<BackupCheckpoint>({
  name: maybe(text),
  creationTime: maybe(text),
  volumes: maybe((value) => Array.isArray(value) && value.every(record)),
})
export const checkMigrationRef = shape<MigrationRef>({ guest, migrationUid: text })
export const checkOwner = shape<MigrationRef & { epoch: number }>({ guest, migrationUid: text, epoch: count })
export const checkReply = shape<OutgoingRequest['target']>({
  address: text,
  ports: (value) => isRecord(value) && Object.values(value).every(count),
  postCopy: maybe(flag),
})
export const checkFacts = shape<IncomingRequest['facts']>({ form: count, facts: record })
const checkTransfer = shape<OutgoingRequest['options']>({
  bandwidthBytes: count,
  completionSecondsPerGiB: number,
  progressSeconds: number,
  maxDowntimeMs: positive,
  allowAutoConverge: flag,
  allowPostCopy: flag,
  allowWorkloadDisruption: flag,
})
const checkOutgoingFields = shape<OutgoingRequest>({
  guest,
  migrationUid: text,
  epoch: count,
  target: reply,
  tls: maybe(tls),
  options: record,
})
const checkIncomingFields = shape<IncomingRequest>({
  guest,
  migrationUid: text,
  sync: record,
  facts: record,
  tls: maybe(tls),
  network: maybe(text),
})

/** How a guest is sent. */
export function checkOutgoing(value: unknown): OutgoingRequest {
  const request = checkOutgoingFields(value)
  return { ...request, options: checkTransfer(request.options) }
}

/** What is to be received. */
export function checkIncoming(value: unknown): IncomingRequest {
  const request = checkIncomingFields(value)
  return {
    ...request,
    sync: checkSync(request.sync, request.guest.uid),
    facts: checkFacts(request.facts),
  }
}
