import { createHash } from 'node:crypto'
import type { Clock } from '../../lib/clock.ts'
import { isRecord, type JsonRecord } from '../../lib/json.ts'
import type { User } from '../access.ts'
import type { TokenReader, TokenVerdict } from '../service-account-tokens.ts'
import { buildAnswerCache } from './answer-cache.ts'
import { askForStatus, type ReviewClient, type ReviewOptions } from './ask.ts'

const GROUP = 'authentication.k8s.io'

/**
 * Asks kube-apiserver with a TokenReview whose token it is. Answers are good for 10 s; tokens themselves are not kept.
 * Throws 503 where there is no answer.
 */
export function buildReviewTokenReader(
  client: ReviewClient,
  clock: Pick<Clock, 'now'>,
  options: ReviewOptions = {},
): TokenReader {
  const cache = buildAnswerCache<TokenVerdict | undefined>({ clock, wanted: options.watch?.wanted })
  return {
    read(token, audiences) {
      const key = createHash('sha256')
        .update(JSON.stringify([token, audiences]))
        .digest('base64')
      return cache.get(key, async (until) => {
        const spec = { token, ...(audiences.length > 0 && { audiences }) }
        const body = { kind: 'TokenReview', spec }
        return verdictOf(await askForStatus(client, GROUP, 'tokenreviews', body, until, options), audiences)
      })
    },
  }
}

/** An answer that does not speak of the audiences asked for comes from an authenticator that knows none. */
function verdictOf(status: JsonRecord, wanted: readonly string[]): TokenVerdict | undefined {
  if (status.authenticated !== true || !isRecord(status.user)) return undefined
  const { username, uid, groups, extra } = status.user
  if (typeof username !== 'string' || username === '') return undefined
  const audiences = textsOf(status.audiences)
  if (wanted.length > 0 && !audiences.some((audience) => wanted.includes(audience))) return undefined
  const user: User = {
    name: username,
    groups: textsOf(groups),
    ...(typeof uid === 'string' && uid !== '' && { uid }),
    ...(isRecord(extra) && { extra: extraOf(extra) }),
  }
  return { user, audiences }
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((text) => typeof text === 'string') : []
}

function extraOf(extra: JsonRecord): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(extra).map(([key, values]) => [key.toLowerCase(), textsOf(values)]),
  )
}
