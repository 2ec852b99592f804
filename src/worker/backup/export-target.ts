import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { checkServerIdentity, connect, type TLSSocket } from 'node:tls'
import { badRequest } from '../../lib/errors.ts'
import type { BackupOptions } from '../../rpc/actions.ts'
import { writeDurably } from '../files/durable.ts'
import { unlessMissing } from '../files/errno.ts'
import type { GuestFiles } from '../files/paths.ts'

/** Who reads a backup in pull mode: a server that this node connects to, over TLS that each proves itself by. */
export interface ExportTarget {
  host: string
  port: number
  /** The name that its certificate has to have. */
  serverName: string
  /** PEM. */
  ca: string
  cert: string
  key: string
}

/** The server cannot be reached, or is not who it should be. */
export class ExportUnreachable extends Error {
  constructor(to: string, cause: unknown) {
    super(
      `cannot connect to the export server ${to}: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    )
    this.name = 'ExportUnreachable'
  }
}

const ADDRESS = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9][A-Za-z0-9.-]{0,252})):(\d{1,5})$/
const TEXT_LIMIT = 64 * 1024
const CONNECT_MS = 10_000
const KEEP_ALIVE_MS = 30_000
const FILE = 'backup-export.json'

/** Reads whom to connect to. Throws 400. Source: contract 3.2; docs/decisions, 2026-11-21-pull-mode-backups. */
export function readExportTarget(options: BackupOptions): ExportTarget {
  const { exportServerAddr = '', exportServerName } = options
  const [, bracketed, name, digits] = ADDRESS.exec(exportServerAddr) ?? []
  const host = bracketed ?? name
  const port = Number(digits)
  if (host === undefined || !(port >= 1 && port <= 65_535) || (bracketed !== undefined && isIP(host) !== 6)) {
    const given = JSON.stringify(exportServerAddr.slice(0, 200))
    throw badRequest(`exportServerAddr is ${given}: write HOST:PORT of the server that reads the backup`)
  }
  const target = {
    host,
    port,
    serverName: exportServerName || host,
    ca: readPem(options, 'caCert'),
    cert: readPem(options, 'backupCert'),
    key: readPem(options, 'backupKey'),
  }
  checkPair(target)
  return target
}

/** As PEM, or as PEM in base64, which is how Go writes bytes into JSON. */
function readPem(options: BackupOptions, field: 'caCert' | 'backupCert' | 'backupKey'): string {
  const given = options[field] ?? ''
  if (given.length > TEXT_LIMIT) throw badRequest(`${field} has more than ${TEXT_LIMIT} characters`)
  const text = given.includes('-----BEGIN ') ? given : Buffer.from(given, 'base64').toString('utf8')
  if (text.includes('-----BEGIN ')) return text
  throw badRequest(`${field} is ${given ? 'no PEM' : 'missing'}: both sides of an export prove who they are`)
}

function checkPair({ ca, cert, key }: ExportTarget): void {
  const certificate = certificateOf('backupCert', cert)
  certificateOf('caCert', ca)
  let fits = false
  try {
    fits = certificate.checkPrivateKey(createPrivateKey(key))
  } catch (error) {
    // The reason may show a part of the key.
    if (!(error instanceof Error)) throw error
  }
  if (!fits) throw badRequest('backupKey is not the key of backupCert')
}

function certificateOf(field: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch {
    throw badRequest(`${field} is no certificate`)
  }
}

/** `HOST:PORT`, for people. */
export function formatTarget({ host, port }: Pick<ExportTarget, 'host' | 'port'>): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
}

/** Connects. Throws `ExportUnreachable`, and the reason of `signal`. */
export async function connectTo(target: ExportTarget, signal: AbortSignal): Promise<TLSSocket> {
  const { host, port, serverName, ca, cert, key } = target
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>()
  const limit = AbortSignal.timeout(CONNECT_MS)
  const socket = connect({
    host,
    port,
    ca,
    cert,
    key,
    minVersion: 'TLSv1.2',
    ...(isIP(serverName) === 0 && { servername: serverName }),
    checkServerIdentity: (_host, certificate) => checkServerIdentity(serverName, certificate),
  })
  const abandon = (): void => void socket.destroy(new Error(`no answer within ${CONNECT_MS} ms`))
  limit.addEventListener('abort', abandon)
  signal.addEventListener('abort', abandon)
  socket.once('error', reject).once('secureConnect', () => resolve(socket))
  try {
    await promise
    socket.off('error', reject)
    socket.on('error', () => {})
    return socket.setKeepAlive(true, KEEP_ALIVE_MS)
  } catch (error) {
    signal.throwIfAborted()
    throw new ExportUnreachable(formatTarget(target), error)
  } finally {
    limit.removeEventListener('abort', abandon)
    signal.removeEventListener('abort', abandon)
  }
}

/** Writes it down for the next worker: in memory, for the worker's own user, beside images made from secrets. */
export async function keepTarget(
  { generated }: Pick<GuestFiles, 'generated'>,
  target: ExportTarget,
): Promise<void> {
  await writeDurably(join(generated, FILE), JSON.stringify(target))
}

/** What was written down; `undefined` where nothing is. Throws the system's error. */
export async function loadTarget({
  generated,
}: Pick<GuestFiles, 'generated'>): Promise<ExportTarget | undefined> {
  const text = await unlessMissing(readFile(join(generated, FILE), 'utf8'))
  // We wrote it, where nobody else can.
  return text === undefined ? undefined : (JSON.parse(text) as ExportTarget)
}

/** Removes it. */
export async function removeTarget({ generated }: Pick<GuestFiles, 'generated'>): Promise<void> {
  await rm(join(generated, FILE), { force: true })
}
