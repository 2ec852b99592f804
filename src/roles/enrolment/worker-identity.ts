import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, writePrivate } from '../../../certs/files.ts'
import { covers, isPair, isSignedBy, renewalTime, validityOf } from '../../../certs/inspect.ts'
import { createKey } from '../../../certs/issue.ts'
import { keepKey } from '../../../certs/pair-file.ts'
import { createRequest } from '../../../certs/request.ts'
import type { LoadedFiles } from '../../../certs/watch-files.ts'
import { looksLikeJoinToken, parseJoinToken } from '../../kinds/join-token.ts'
import { backoffMs } from '../../lib/backoff.ts'
import { wait, type Clock } from '../../lib/clock.ts'
import { StatusError } from '../../lib/errors.ts'
import { isRecord } from '../../lib/json.ts'
import type { Log } from '../../lib/log.ts'
import { keyHash, splitBundle } from '../../lib/pem.ts'
import { bundleHash } from '../certificates/bundle-hash.ts'
import { workerWish } from '../certificates/wishes.ts'
import { formatAddress } from '../node-list.ts'
import { Holder, type Watched } from '../watched-tls.ts'
import { ControllerUnreachable, EnrolmentClient } from './client.ts'

/** How a worker comes by its certificate. */
export interface WorkerIdentityOptions {
  node: string
  /** URL at which controllers enrol workers. */
  controller: string
  /** A join token, or the token of a service account; read whenever one is needed. */
  token(): Promise<string>
  /** File with the authority of the controllers, PEM; a join token says it itself. */
  controllerCa?: string
  /** Where the identity is kept; made with mode 0700. */
  dir: string
  clock: Clock
  log: Log
  signal: AbortSignal
}

/** The certificate of a worker, its key and what it believes; renewed, and told to the controllers, until it is closed. */
export interface WorkerIdentity extends Watched<LoadedFiles>, AsyncDisposable {
  /** Tells the controllers from now on where the worker listens; without `host`, at the address that leads to them. */
  announce(address: { host: string | undefined; port: number }): void
}

const BACKOFF = { baseMs: 500, maxMs: 30_000 }

/**
 * The identity that is kept, or a new one, enrolled for. A controller that cannot be reached is tried again; a refusal is
 * thrown as its `StatusError`, and `AuthorityNotShown` where the controller is another one than the token says.
 */
export async function openWorkerIdentity(options: WorkerIdentityOptions): Promise<WorkerIdentity> {
  const { dir, node, clock, log, signal } = options
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const client = new EnrolmentClient(options.controller)
  const kept = await readIdentity(dir, node, clock.now())
  const first = kept ?? (await enrolPatiently(options, client))
  const holder = new Holder(first, { node }, log)
  const stop = new AbortController()
  const over = AbortSignal.any([signal, stop.signal])
  let following: Promise<void> | undefined
  return {
    current: () => holder.current(),
    onChange: (listener) => holder.onChange(listener),
    announce(address) {
      following ??= follow({ ...options, signal: over }, client, holder, address)
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await following
    },
  }
}

/** Checks in again and again, renews what is due, and enrols anew where nothing else helps. */
async function follow(
  options: WorkerIdentityOptions,
  client: EnrolmentClient,
  holder: Holder<LoadedFiles>,
  address: { host: string | undefined; port: number },
): Promise<void> {
  const { clock, log, signal } = options
  for (let failures = 0; !signal.aborted;) {
    try {
      await checkIn(options, client, holder, address)
      failures = 0
    } catch (error) {
      if (signal.aborted) return
      failures += 1
      log.warn({ err: error, failures }, 'the controller does not take the check-in of this worker')
      if (isDistrust(error, holder.current(), clock.now())) await enrolAgain(options, client, holder)
      await wait(clock, backoffMs(BACKOFF, failures, Math.random()), signal)
    }
  }
}

async function checkIn(
  options: WorkerIdentityOptions,
  client: EnrolmentClient,
  holder: Holder<LoadedFiles>,
  { host, port }: { host: string | undefined; port: number },
): Promise<void> {
  const { clock, signal } = options
  const tls = holder.current()
  const address = formatAddress({ host: host ?? (await client.localAddress(signal)), port })
  const due = new AbortController()
  using _timer = clock.after(renewalTime(tls.cert) - clock.now(), () => due.abort())
  const request = { address, trust: bundleHash(tls.ca) }
  const answer = await client
    .checkIn(tls, request, AbortSignal.any([signal, due.signal]))
    .catch((error: unknown) => {
      // Nothing was said until our own time had come.
      if (due.signal.aborted && !signal.aborted) return { ca: tls.ca, issuer: issuerOf(tls) }
      throw error
    })
  if (answer.ca !== tls.ca) {
    // Believed, and said so, before anything that comes from a new authority is shown or seen.
    await take(options, holder, { ...tls, ca: answer.ca })
  } else if (answer.issuer !== issuerOf(tls) || renewalTime(tls.cert) <= clock.now()) {
    const key = await createKey()
    const { certificate, ca } = await client.renew(tls, await createRequest(key), signal)
    await take(options, holder, { cert: certificate, key, ca })
  }
}

async function enrolAgain(
  options: WorkerIdentityOptions,
  client: EnrolmentClient,
  holder: Holder<LoadedFiles>,
): Promise<void> {
  try {
    await take(options, holder, await enrol(options, client))
  } catch (error) {
    options.log.error({ err: error }, 'this worker cannot enrol again: give it another token')
  }
}

async function take(
  { dir }: WorkerIdentityOptions,
  holder: Holder<LoadedFiles>,
  next: LoadedFiles,
): Promise<void> {
  await keepIdentity(dir, next)
  holder.take(next)
}

/** Whether the controller and we no longer believe each other, which a new certificate alone can mend. */
function isDistrust(error: unknown, { cert }: LoadedFiles, now: number): boolean {
  if (validityOf(cert).notAfter <= now) return true
  if (error instanceof StatusError) return error.code === 401
  const cause = error instanceof ControllerUnreachable ? error.cause : undefined
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return /CERT|ISSUER|SIGNATURE|SSL/.test(code)
}

async function enrolPatiently(options: WorkerIdentityOptions, client: EnrolmentClient): Promise<LoadedFiles> {
  const { dir, clock, log, signal } = options
  for (let failures = 1; ; failures++) {
    try {
      const identity = await enrol(options, client)
      await keepIdentity(dir, identity)
      return identity
    } catch (error) {
      signal.throwIfAborted()
      const isBusy = error instanceof StatusError && (error.code === 429 || error.code >= 500)
      if (!isBusy && !(error instanceof ControllerUnreachable)) throw error
      log.warn({ err: error, failures }, 'this worker cannot enrol yet')
      await wait(clock, backoffMs(BACKOFF, failures, Math.random()), signal)
    }
  }
}

/** The key is on disk before it is sent anywhere: where the answer is lost, the same token and key may come again. */
async function enrol(options: WorkerIdentityOptions, client: EnrolmentClient): Promise<LoadedFiles> {
  const { node, dir, signal } = options
  const token = (await options.token()).trim()
  const authority = await authorityFor(options, client, token)
  const key = await keepKey(enrolmentKey(dir))
  const request = { node, csr: await createRequest(key) }
  const { certificate, ca } = await client.enrol(authority, token, request, signal)
  return { cert: certificate, key, ca }
}

async function authorityFor(
  { controllerCa, signal }: WorkerIdentityOptions,
  client: EnrolmentClient,
  token: string,
): Promise<string> {
  if (looksLikeJoinToken(token)) return client.fetchAuthority(parseJoinToken(token).authorities, signal)
  if (controllerCa !== undefined) return readFile(controllerCa, 'utf8')
  throw new RangeError(
    'this is no join token: with the token of a service account, --controller-ca says whom to believe',
  )
}

/** The key with which a token is being used up; it is in the identity, once there is one. */
function enrolmentKey(dir: string): string {
  return join(dir, 'enrolment.key')
}

async function keepIdentity(dir: string, identity: LoadedFiles): Promise<void> {
  await writePrivate(identityFile(dir), JSON.stringify(identity))
  await rm(enrolmentKey(dir), { force: true })
}

/** One file, so that key and certificate are never those of two moments. */
function identityFile(dir: string): string {
  return join(dir, 'identity.json')
}

/** The identity on disk if it is good still, and for this node. */
async function readIdentity(dir: string, node: string, now: number): Promise<LoadedFiles | undefined> {
  const identity = parseIdentity(await readIfThere(identityFile(dir)))
  if (!identity || !isPair(identity)) return undefined
  const isGood = covers(identity.cert, workerWish(node)) && now < validityOf(identity.cert).notAfter
  return isGood ? identity : undefined
}

function parseIdentity(text: string | undefined): LoadedFiles | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '')
    if (!isRecord(value)) return undefined
    const { cert, key, ca } = value
    const isWhole = typeof cert === 'string' && typeof key === 'string' && typeof ca === 'string'
    return isWhole ? { cert, key, ca } : undefined
  } catch {
    // What cannot be read is no identity: a new one is enrolled for.
    return undefined
  }
}

function issuerOf({ cert, ca }: LoadedFiles): string {
  const authority = splitBundle(ca).find((pem) => isSignedBy(cert, pem))
  return authority === undefined ? '' : keyHash(authority)
}
