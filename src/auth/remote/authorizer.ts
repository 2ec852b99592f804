import type { Clock } from '../../lib/clock.ts'
import type { JsonRecord } from '../../lib/json.ts'
import type { Attributes, Authorizer, Decision, User } from '../access.ts'
import { buildAnswerCache } from './answer-cache.ts'
import { askForStatus, type ReviewClient, type ReviewOptions } from './ask.ts'

const GROUP = 'authorization.k8s.io'

/** How long answers are good; a right that was just granted is found sooner. Source: security.md, B4. */
const ALLOWED_MS = 10_000
const DENIED_MS = 5_000

/**
 * Asks kube-apiserver with a SubjectAccessReview. A yes is good for 10 s, a no for 5 s, for the same identity as a whole
 * and the same request; who asks the same at the same time waits for the same answer. Throws 503 where there is no clear
 * answer in time.
 */
export function buildReviewAuthorizer(
  client: ReviewClient,
  clock: Pick<Clock, 'now'>,
  options: ReviewOptions = {},
): Authorizer {
  const cache = buildAnswerCache<Decision>({
    clock,
    wanted: options.watch?.wanted,
    lifeMs: ({ allowed }) => (allowed ? ALLOWED_MS : DENIED_MS),
  })
  return {
    review(user, attributes, signal) {
      const body = { kind: 'SubjectAccessReview', spec: specOf(user, attributes) }
      return cache.get(
        keyOf(user, attributes),
        async (until) =>
          decisionOf(await askForStatus(client, GROUP, 'subjectaccessreviews', body, until, options)),
        signal,
      )
    },
  }
}

/** Both allowed and denied at once is denied. */
function decisionOf({ allowed, denied, reason, evaluationError }: JsonRecord): Decision {
  const text = typeof reason === 'string' ? reason : ''
  if (allowed === true && denied !== true) return { allowed: true, reason: text }
  return { allowed: false, reason: text || (typeof evaluationError === 'string' ? evaluationError : '') }
}

function specOf({ name, uid, groups, extra }: User, attributes: Attributes): JsonRecord {
  return {
    user: name,
    groups,
    ...(uid && { uid }),
    ...(extra && { extra }),
    ...attributesOf(attributes),
  }
}

function attributesOf(attributes: Attributes): JsonRecord {
  const { kind, ...rest } = attributes
  return kind === 'path' ? { nonResourceAttributes: rest } : { resourceAttributes: rest }
}

function keyOf({ name, uid, groups, extra = {} }: User, attributes: Attributes): string {
  const sorted = (entries: object) => Object.entries(entries).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([name, uid ?? '', groups, sorted(extra), sorted(attributes)])
}
