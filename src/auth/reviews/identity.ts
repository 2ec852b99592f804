/** Who is somebody? Source: `authentication.k8s.io/v1`. */
import { badRequest, StatusError } from '../../lib/errors.ts'
import type { JsonRecord } from '../../lib/json.ts'
import type { User } from '../access.ts'
import type { ReviewKind } from '../review-kind.ts'
import type { TokenReader, TokenVerdict } from '../service-account-tokens.ts'
import { readReview, readText, readTexts } from './body.ts'

const GROUP = { group: 'authentication.k8s.io', version: 'v1', verbs: ['create'], namespaced: false }

/** Who am I? `kubectl auth whoami` asks. */
export function selfSubjectReview(): ReviewKind {
  const who = { ...GROUP, kind: 'SelfSubjectReview' }
  return {
    ...who,
    plural: 'selfsubjectreviews',
    async run(body, { user }) {
      const { object } = readReview(body, who)
      return { ...object, status: { userInfo: userInfo(user) } }
    },
  }
}

/** Whose token is this? */
export function tokenReview(tokens: TokenReader): ReviewKind {
  const who = { ...GROUP, kind: 'TokenReview' }
  return {
    ...who,
    plural: 'tokenreviews',
    async run(body, _context) {
      const { object, spec } = readReview(body, who)
      const token = readText(spec, 'token', 'spec', who)
      if (!token) throw badRequest('token is required for TokenReview in authentication')
      const verdict = await read(tokens, token, readTexts(spec, 'audiences', 'spec', who))
      return { ...withoutToken(object, spec), status: statusOf(verdict) }
    },
  }
}

/** A token that is no good is an answer here, not an error. */
async function read(
  tokens: TokenReader,
  token: string,
  audiences: string[],
): Promise<TokenVerdict | undefined> {
  try {
    return await tokens.read(token, audiences)
  } catch (error) {
    if (error instanceof StatusError && error.code === 401) return undefined
    throw error
  }
}

function statusOf(verdict: TokenVerdict | undefined): JsonRecord {
  if (!verdict) return { authenticated: false, error: 'invalid bearer token' }
  return { authenticated: true, user: userInfo(verdict.user), audiences: verdict.audiences }
}

/** Answers get logged more often than questions. */
function withoutToken(object: JsonRecord, { token: _token, ...spec }: JsonRecord): JsonRecord {
  return { ...object, spec }
}

/** A user as `authentication.k8s.io/v1` writes it. */
export function userInfo({ name, uid, groups, extra }: User): JsonRecord {
  return { username: name, ...(uid && { uid }), groups, ...(extra && { extra }) }
}
