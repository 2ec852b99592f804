import type { Clock } from '../../lib/clock.ts'
import type { JsonRecord } from '../../lib/json.ts'
import type { Attributes, Authorizer, Decision, User } from '../access.ts'
import { buildAnswerCache } from './answer-cache.ts'
import { askForStatus, type ReviewClient } from './ask.ts'

const GROUP = 'authorization.k8s.io'

/**
 * Asks kube-apiserver with a SubjectAccessReview. Answers, yes and no alike, are good for 10 s for the same identity as
 * a whole and the same request. Throws 503 where there is no clear answer.
 */
export function buildReviewAuthorizer(client: ReviewClient, clock: Pick<Clock, 'now'>): Authorizer {
  const cache = buildAnswerCache<Decision>(clock)
  return {
    review(user, attributes, signal) {
      return cache.get(keyOf(user, attributes), async () => {
        const spec = specOf(user, attributes)
        const body = { kind: 'SubjectAccessReview', spec }
        return decisionOf(await askForStatus(client, GROUP, 'subjectaccessreviews', body, signal))
      })
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
