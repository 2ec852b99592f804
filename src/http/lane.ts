/** The lane of requests that somebody known makes, and each user's share of it. Source: security.md, H3. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Attributes, User } from '../auth/access.ts'
import { tooManyRequests } from '../lib/errors.ts'
import { FairQueue, type FairQueueLimits } from '../lib/fair-queue.ts'
import type { ServerWatch } from '../metrics/server.ts'

/**
 * Requests are short, but for those to a worker that does not answer. Health and discovery, webhooks and streams are not in this
 * lane: the first two need no user, and streams have seats of their own.
 */
export const LANE_LIMITS: FairQueueLimits = { atOnce: 256, atOncePerFlow: 32, waitingPerFlow: 128 }

const RETRY_AFTER_SECONDS = 1

/** Lets a request in when it is its user's turn. Throws 429 where the user has too many waiting. */
export type Lane = (
  request: FastifyRequest,
  reply: FastifyReply,
  who: { user: User; wants: Attributes; signal: AbortSignal },
) => Promise<void>

/** Opens a lane. Reading and writing are flows of their own: who lists a lot can still stop a VM. */
export function openLane(limits: FairQueueLimits, watch?: Pick<ServerWatch, 'waited' | 'turnedAway'>): Lane {
  const queue = new FairQueue(limits)
  return async (request, reply, { user, wants, signal }) => {
    if (isLong(request, wants)) return
    const lane = request.method === 'GET' || request.method === 'HEAD' ? 'read' : 'write'
    const since = performance.now()
    const turn = await queue.enter(`${lane} ${user.name}`, signal)
    if (!turn) {
      watch?.turnedAway(lane)
      throw tooManyRequests('you have too many requests that wait: send fewer', RETRY_AFTER_SECONDS)
    }
    watch?.waited(lane, performance.now() - since)
    const end = (): void => turn[Symbol.dispose]()
    reply.raw.once('finish', end).once('close', end)
    if (reply.raw.destroyed) end()
  }
}

/** What lasts for as long as its client likes. */
function isLong({ ws, routeOptions: { config } }: FastifyRequest, { verb }: Attributes): boolean {
  return ws || config.isStream === true || config.subresource?.type === 'download' || verb === 'watch'
}
