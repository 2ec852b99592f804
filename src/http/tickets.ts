/**
 * One-use tickets with which a browser opens a stream: it cannot set headers on a WebSocket, so what it is known by has
 * to stand in the URL, where nothing that lives long may stand. Source: security G3; docs/decisions has the reasons.
 */
import { randomUUID } from 'node:crypto'
import type { JWTPayload } from 'jose'
import type { User } from '../auth/access.ts'
import { formatTime, type Clock } from '../lib/clock.ts'
import { unauthorized } from '../lib/errors.ts'
import { isRecord } from '../lib/json.ts'
import type { UsedTickets } from './used-tickets.ts'

/** What a ticket opens. */
export interface TicketScope {
  /** Plural of the parent. */
  resource: string
  namespace: string
  name: string
  /** Such as `console`. */
  stream: string
  /** Further parts of the path, such as a port. */
  params: Record<string, string>
  /** UID of the VMI. */
  vmiUid: string
}

/** A ticket as it was taken in. */
export interface Ticket {
  user: User
  vmiUid: string
  /** Which server gave it out. */
  issuer: string
}

/** A ticket as it is given out. */
export interface IssuedTicket {
  ticket: string
  /** RFC 3339. */
  expirationTimestamp: string
}

/** What tickets are made and taken in with. */
export interface TicketOptions {
  /** Keys of 32 bytes, the same on all servers of an installation: the first signs, each is believed. */
  keys: () => readonly Uint8Array[]
  clock: Pick<Clock, 'now'>
  /** Shared by all of them, too. */
  used: UsedTickets
  /** Tells this server from the others. */
  instance: string
}

const ALGORITHM = 'HS256'
const AUDIENCE = 'virtgate/streams'
const LIFE_SECONDS = 30

/** Gives out tickets and takes each of them in once, whichever server it is shown to. */
export class Tickets {
  readonly #keys: TicketOptions['keys']
  readonly #clock: TicketOptions['clock']
  readonly #used: UsedTickets
  readonly #instance: string

  constructor({ keys, clock, used, instance }: TicketOptions) {
    this.#keys = keys
    this.#clock = clock
    this.#used = used
    this.#instance = instance
  }

  /** A ticket for `user`; pages of `origin` alone may use it where it is named. */
  async issue(user: User, scope: TicketScope, origin: string | undefined): Promise<IssuedTicket> {
    const { SignJWT } = await import('jose')
    const [key] = this.#keys()
    if (!key) throw new Error('there is no key to sign tickets with')
    const now = Math.floor(this.#clock.now() / 1000)
    const ticket = await new SignJWT({ user, scope, ...(origin !== undefined && { origin }) })
      .setProtectedHeader({ alg: ALGORITHM })
      .setIssuer(this.#instance)
      .setAudience(AUDIENCE)
      .setJti(randomUUID())
      .setIssuedAt(now)
      .setExpirationTime(now + LIFE_SECONDS)
      .sign(key)
    return { ticket, expirationTimestamp: formatTime((now + LIFE_SECONDS) * 1000) }
  }

  /** Who shows the ticket. Throws 401 where it is no good for what is asked, or was used before at any server. */
  async redeem(
    text: string,
    asked: Omit<TicketScope, 'vmiUid'>,
    origin: string | undefined,
  ): Promise<Ticket> {
    const { user, scope, origin: bound, iss, jti } = await this.#verify(text)
    if (!isUser(user) || !isRecord(scope) || !iss || !jti) throw unauthorized('this is no ticket')
    const { vmiUid, ...rest } = scope
    if (typeof vmiUid !== 'string' || !isSame(rest, asked)) {
      throw unauthorized('the ticket is for another stream: ask for one at the path of this stream')
    }
    if (bound !== undefined && bound !== origin) {
      throw unauthorized('the ticket was given to a page of another origin')
    }
    if (!(await this.#used.claim(jti, this.#clock.now())))
      throw unauthorized('the ticket was used before: ask for a new one')
    return { user, vmiUid, issuer: iss }
  }

  async #verify(text: string): Promise<JWTPayload> {
    const { errors, jwtVerify } = await import('jose')
    for (const key of this.#keys()) {
      try {
        const { payload } = await jwtVerify(text, key, {
          algorithms: [ALGORITHM],
          audience: AUDIENCE,
          currentDate: new Date(this.#clock.now()),
        })
        return payload
      } catch (error) {
        if (error instanceof errors.JWTExpired)
          throw unauthorized('the ticket has expired: ask for a new one')
        if (!(error instanceof errors.JOSEError)) throw error
      }
    }
    throw unauthorized('this is no ticket of this installation')
  }
}

function isUser(value: unknown): value is User {
  return isRecord(value) && typeof value['name'] === 'string' && Array.isArray(value['groups'])
}

function isSame(scope: Record<string, unknown>, asked: Omit<TicketScope, 'vmiUid'>): boolean {
  const { params, ...rest } = asked
  const { params: given, ...others } = scope
  return isRecord(given) && hasSameMembers(given, params) && hasSameMembers(others, rest)
}

function hasSameMembers(left: Record<string, unknown>, right: object): boolean {
  const entries = Object.entries(right)
  return entries.length === Object.keys(left).length && entries.every(([key, value]) => left[key] === value)
}
