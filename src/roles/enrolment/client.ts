import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { roleUri } from '../../../certs/roles.ts'
import type { LoadedFiles } from '../../../certs/watch-files.ts'
import {
  CHECK_IN_HOLD_MS,
  CHECK_IN_PATH,
  ENROL_PATH,
  RENEW_PATH,
  type CheckIn,
  type CheckInAnswer,
  type EnrolRequest,
  type IssuedCertificate,
} from '../../kinds/enrolment.ts'
import { refusal } from '../../kube/client.ts'
import { Agent, request } from '../../lib/http-client.ts'
import { isRecord } from '../../lib/json.ts'
import { STRICT_TLS } from '../../lib/strict-tls.ts'
import { keyHash } from '../../lib/pem.ts'
import { expectServer } from '../../rpc/identity.ts'

/** The controller cannot be reached, or shows that it is not one. */
export class ControllerUnreachable extends Error {
  constructor(url: string, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause)
    super(`cannot talk to the controller at ${url}: ${why}`, { cause })
    this.name = 'ControllerUnreachable'
  }
}

/** Nobody at that address has the authority that a join token names. */
export class AuthorityNotShown extends Error {
  constructor(url: string) {
    super(
      `${url} does not show the authority that the join token names: it is no controller of that installation, or its ` +
        'authority was replaced since; make another token there',
    )
    this.name = 'AuthorityNotShown'
  }
}

const TIMEOUT_MS = 10_000
const MOST_BYTES = 64 * 1024

/** What we show and believe; nothing is shown where `cert` is absent. */
type Tls = Pick<LoadedFiles, 'ca'> & Partial<LoadedFiles>

/** Calls a controller at `url`, such as `https://10.0.0.1:8187`. It is known by its certificate, not by its address. */
export class EnrolmentClient {
  readonly #url: URL

  /** Throws `RangeError` for what is no URL of HTTPS. */
  constructor(url: string) {
    const parsed = URL.parse(url)
    if (parsed?.protocol !== 'https:') {
      throw new RangeError(`${JSON.stringify(url)} is no URL of a controller, such as https://10.0.0.1:8187`)
    }
    this.#url = parsed
  }

  async enrol(
    ca: string,
    token: string,
    body: EnrolRequest,
    signal: AbortSignal,
  ): Promise<IssuedCertificate> {
    return readIssued(await this.#post(ENROL_PATH, { ca }, body, limit(signal), token))
  }

  async renew(tls: LoadedFiles, csr: string, signal: AbortSignal): Promise<IssuedCertificate> {
    return readIssued(await this.#post(RENEW_PATH, tls, { csr }, limit(signal)))
  }

  async checkIn(tls: LoadedFiles, body: CheckIn, signal: AbortSignal): Promise<CheckInAnswer> {
    const answer = await this.#post(CHECK_IN_PATH, tls, body, limit(signal, CHECK_IN_HOLD_MS + TIMEOUT_MS))
    const { ca, issuer } = answer
    if (typeof ca === 'string' && typeof issuer === 'string') return { ca, issuer }
    throw this.#unreachable(new Error('its answer is none to a check-in'))
  }

  /**
   * The authority of what is shown there, PEM, if it is one of those whose `keyHash` is given. Nothing is sent over this
   * connection, which nobody has verified yet; those that follow are verified by the authority. Throws
   * `AuthorityNotShown`.
   */
  async fetchAuthority(hashes: readonly string[], signal: AbortSignal): Promise<string> {
    // Not verified by TLS, as there is nothing to verify it by: the hash decides.
    const socket = connect({ ...this.#address(), rejectUnauthorized: false, ...STRICT_TLS })
    try {
      await once(socket, 'secureConnect', { signal: limit(signal) })
      const found = shownBy(socket).find((pem) => hashes.includes(keyHash(pem)))
      if (found === undefined) throw new AuthorityNotShown(this.#url.origin)
      return found
    } catch (error) {
      throw error instanceof AuthorityNotShown ? error : this.#unreachable(error)
    } finally {
      socket.on('error', () => {})
      socket.destroy()
    }
  }

  /** The address of this machine on the way to the controller. */
  async localAddress(signal: AbortSignal): Promise<string> {
    const socket = connectTcp(this.#address())
    try {
      await once(socket, 'connect', { signal: limit(signal) })
      return socket.localAddress ?? ''
    } catch (error) {
      throw this.#unreachable(error)
    } finally {
      socket.on('error', () => {})
      socket.destroy()
    }
  }

  #address(): { host: string; port: number } {
    const host = this.#url.hostname.replace(/^\[(.*)\]$/, '$1')
    return { host, port: Number(this.#url.port || 443) }
  }

  async #post(
    path: string,
    { cert, key, ca }: Tls,
    body: object,
    signal: AbortSignal,
    token?: string,
  ): Promise<Record<string, unknown>> {
    const checkServerIdentity = expectServer(roleUri({ role: 'controller' }))
    // A connection for each call: there is one in half a minute, and the pair may be another one by then.
    const dispatcher = new Agent({
      connect: { ca, ...STRICT_TLS, checkServerIdentity, ...(cert !== undefined && { cert, key }) },
      headersTimeout: 0,
      bodyTimeout: 0,
      maxResponseSize: MOST_BYTES,
    })
    try {
      const answer = await request(new URL(path, this.#url), {
        dispatcher,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify(body),
        signal,
      }).catch((error: unknown) => {
        throw this.#unreachable(error)
      })
      const text = await answer.body.text()
      if (answer.statusCode !== 200) throw refusal(answer.statusCode, text)
      const value: unknown = JSON.parse(text)
      return isRecord(value) ? value : {}
    } finally {
      await dispatcher.destroy()
    }
  }

  #unreachable(cause: unknown): ControllerUnreachable {
    return new ControllerUnreachable(this.#url.origin, cause)
  }
}

function limit(signal: AbortSignal, timeoutMs = TIMEOUT_MS): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
}

/** All certificates that the other side has sent along. */
function shownBy(socket: TLSSocket): string[] {
  const chain: string[] = []
  for (let one = socket.getPeerX509Certificate(); one; one = one.issuerCertificate) {
    const pem = one.toString()
    // The end of a chain may name itself.
    if (chain.includes(pem)) break
    chain.push(pem)
  }
  return chain.slice(1)
}

function readIssued({ certificate, ca }: Record<string, unknown>): IssuedCertificate {
  if (typeof certificate === 'string' && typeof ca === 'string') return { certificate, ca }
  throw new Error('the controller answered something else than a certificate')
}
