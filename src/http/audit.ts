/** Who did what to which VM, and what came of it. Source: security K1 to K3. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Kind } from '../kinds/kind.ts'
import type { KubeObject } from '../kinds/meta.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { printable } from '../lib/printable.ts'
import type { EventRecorder } from '../store/events.ts'
import { decodeOptions } from '../subresources/body.ts'
import type { Subresource } from '../subresources/subresource.ts'
import { closingEventOf, eventOf, type AuditEvent } from './audit-events.ts'
import { allValues, isAnswered, paramsOf } from './call.ts'
import type { SessionResult } from './session.ts'
import { toRefusal } from './status.ts'
import { resourceNameOf } from './subresource-path.ts'

/** Where audit lines go: one for each action, two for each stream. */
export type AuditLog = Pick<Log, 'info'>

const NAME_LIMIT = 256
const MESSAGE_LIMIT = 1024
const GROUPS_LIMIT = 64
/** The client went away before it had its answer; the work may have been done. */
const ABANDONED = { code: 499, reason: 'ClientGone' }

interface Trail {
  startedAt: number
  /** The objects the call is about, as its handler read them. */
  seen: Map<string, KubeObject>
  refusal?: { reason: string; message: string }
  isOver: boolean
}

interface Outcome {
  code: number
  reason?: string
  message?: string
}

/** Keeps the record of subresource calls: audit lines for all, Events for what was granted. */
export class Auditor {
  readonly #trails = new WeakMap<FastifyRequest, Trail>()
  readonly #log: AuditLog
  readonly #events: EventRecorder
  readonly #clock: Pick<Clock, 'now'>

  constructor(log: AuditLog, events: EventRecorder, clock: Pick<Clock, 'now'>) {
    this.#log = log
    this.#events = events
    this.#clock = clock
  }

  /** Records every call to the routes of `scope` that are subresources, refused ones and failures included. */
  watch(scope: FastifyInstance): void {
    scope.addHook('onError', async (request, _reply, error) => {
      const { reason, message } = toRefusal(error, request.routeOptions.bodyLimit)
      this.#trailOf(request).refusal = { reason, message }
    })
    scope.addHook('preHandler', async (request, reply) => {
      this.#trailOf(request)
      reply.raw.once('close', () => this.#noteClosed(request, reply))
    })
    scope.addHook('onResponse', async (request, reply) => {
      // HTTP/2 finishes what its client has left, too.
      if (reply.raw.writableEnded) this.#noteAnswer(request, reply.statusCode)
    })
  }

  /** Notes which object a call is about. */
  noteObject(request: FastifyRequest, { plural }: Kind, object: KubeObject): void {
    this.#trailOf(request).seen.set(plural, object)
  }

  /** Notes that a stream was opened: the answer to its request is 101, and its end comes later. */
  noteOpened(request: FastifyRequest): void {
    this.#trailOf(request).isOver = true
    this.#write(request, { code: 101 }, {}, 'stream opened')
    this.#recordEvent(request, (subresource, user) => eventOf(subresource, user))
  }

  /** Notes how a stream ended, by its WebSocket close code, and what came of a program that ran. */
  noteClosed(request: FastifyRequest, { code, reason, why: _why, failure, ...counts }: SessionResult): void {
    const more = { ...counts, ...(failure !== undefined && { failure: printable(failure, MESSAGE_LIMIT) }) }
    this.#write(request, { code, reason }, more, 'stream closed')
    this.#recordEvent(request, (subresource, user) =>
      subresource.type === 'stream' ? closingEventOf(subresource, user) : undefined,
    )
  }

  #noteClosed(request: FastifyRequest, reply: FastifyReply): void {
    const trail = this.#trailOf(request)
    if (trail.isOver || isAnswered(reply.raw)) return
    // What goes on until the client has seen enough ends like this.
    if (reply.raw.headersSent) {
      this.#noteAnswer(request, reply.statusCode)
      return
    }
    trail.isOver = true
    this.#write(request, ABANDONED, {}, 'action abandoned')
  }

  #noteAnswer(request: FastifyRequest, code: number): void {
    const trail = this.#trailOf(request)
    const { subresource } = request.routeOptions.config
    if (trail.isOver || !subresource) return
    trail.isOver = true
    const isGranted = code < 400
    const text = isGranted ? 'action done' : code < 500 ? 'action refused' : 'action failed'
    // What only reads, and is polled, is recorded where it was not allowed.
    if (subresource.type === 'query' && code !== 401 && code !== 403) return
    const isDry = isDryRun(request, subresource)
    const outcome = { code, ...trail.refusal }
    this.#write(request, outcome, isDry ? { dryRun: true } : {}, text)
    if (isGranted && !isDry) this.#recordEvent(request, (one, user) => eventOf(one, user))
  }

  #trailOf(request: FastifyRequest): Trail {
    const known = this.#trails.get(request)
    if (known) return known
    const trail = { startedAt: this.#clock.now(), seen: new Map<string, KubeObject>(), isOver: false }
    this.#trails.set(request, trail)
    return trail
  }

  #write(request: FastifyRequest, outcome: Outcome, more: object, text: string): void {
    const { startedAt, seen } = this.#trailOf(request)
    const { code, reason, message } = outcome
    const uids = [...seen.values()].map(({ kind, metadata }) => [uidField(kind), metadata.uid])
    this.#log.info(
      {
        ...whoOf(request),
        ...whatOf(request),
        ...Object.fromEntries(uids),
        code,
        ...(reason !== undefined && { reason: printable(reason, NAME_LIMIT) }),
        ...(message !== undefined && { message: printable(message, MESSAGE_LIMIT) }),
        durationMs: this.#clock.now() - startedAt,
        ...more,
      },
      text,
    )
  }

  #recordEvent(
    request: FastifyRequest,
    describe: (subresource: Subresource, user: string) => AuditEvent | undefined,
  ): void {
    const { subresource } = request.routeOptions.config
    const object = this.#trailOf(request).seen.get(subresource?.resource?.plural ?? '')
    if (!subresource || !object || !request.user) return
    const event = describe(subresource, request.user.name)
    if (event) this.#events.record(object, 'Normal', event.reason, event.message)
  }
}

function uidField(kind: string): string {
  return kind === 'VirtualMachine' ? 'vmUid' : 'vmiUid'
}

function whoOf({ user, ticket, ip, headers }: FastifyRequest): object {
  const text = (value: string | string[] | undefined): string | undefined =>
    value === undefined ? undefined : printable([value].flat().join(', '), NAME_LIMIT)
  return {
    user: user && printable(user.name, NAME_LIMIT),
    ...(user?.uid !== undefined && { userUid: printable(user.uid, NAME_LIMIT) }),
    groups: user?.groups.slice(0, GROUPS_LIMIT).map((group) => printable(group, NAME_LIMIT)),
    source: ip,
    // As whoever stands before us says: kube-apiserver adds both.
    forwardedFor: text(headers['x-forwarded-for']),
    auditId: text(headers['audit-id']),
    userAgent: text(headers['user-agent']),
    ...(ticket && { ticketIssuer: ticket.issuer }),
  }
}

/** What was asked for. Body and query stay out of it, but for what is named as fit to be written down. */
function whatOf(request: FastifyRequest): object {
  const { subresource } = request.routeOptions.config
  const { namespace, name, ...params } = paramsOf(request)
  const path = Object.entries(params).map(([key, value]) => [key, printable(value ?? '', NAME_LIMIT)])
  return {
    subresource: subresource && resourceNameOf(subresource),
    verb: subresource?.verb,
    namespace: printable(namespace ?? '', NAME_LIMIT),
    ...(name !== undefined && { name: printable(name, NAME_LIMIT) }),
    ...(path.length > 0 && { params: Object.fromEntries(path) }),
    ...askedIn(request),
  }
}

/** Query parameters that an audit line names, whole: the URL is at most 16 KiB. */
function askedIn({ routeOptions, query }: FastifyRequest): object {
  const { subresource } = routeOptions.config
  const names = subresource?.type === 'stream' ? (subresource.audited ?? []) : []
  const given = names.map((name): [string, string[]] => [name, allValues(query, name)])
  return Object.fromEntries(
    given
      .filter(([, values]) => values.length > 0)
      .map(([name, values]) => [name, values.map((value) => printable(value, Infinity))]),
  )
}

function isDryRun(request: FastifyRequest, subresource: Subresource): boolean {
  const { query, body } = request
  if (typeof query === 'object' && query !== null && 'dryRun' in query) return true
  if (subresource.type !== 'action' || !subresource.fields?.['dryRun'] || !Buffer.isBuffer(body)) return false
  try {
    return (decodeOptions(body, { dryRun: 'strings' }).dryRun?.length ?? 0) > 0
  } catch {
    // Refused by its handler in the same way.
    return false
  }
}
