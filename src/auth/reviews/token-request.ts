import { forbiddenValue, invalidValue } from '../../lib/causes.ts'
import { notFound } from '../../lib/errors.ts'
import type { JsonRecord } from '../../lib/json.ts'
import { refusedKind } from '../../kinds/kind.ts'
import { SERVICE_ACCOUNTS } from '../../kinds/table.ts'
import type { ObjectReader } from '../../store/store.ts'
import type { ServiceAccountTokens } from '../service-account-tokens.ts'
import { readReview, readTexts, wrong } from './body.ts'

const WHO = { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' }
const SHORTEST_SECONDS = 600
const LONGEST_SECONDS = 2 ** 32
const DEFAULT_SECONDS = 3600

/** Answers `POST …/serviceaccounts/{name}/token`, which `kubectl create token` calls. */
export type TokenRequestHandler = (namespace: string, name: string, body: unknown) => Promise<unknown>

/**
 * Makes tokens for service accounts: for an hour and this API where the body does not say. Throws 404 where there is
 * no such account, 422 where the body asks for what cannot be had.
 * Source: `authentication.k8s.io/v1` TokenRequest.
 */
export function buildTokenRequest(
  tokens: ServiceAccountTokens,
  accounts: Pick<ObjectReader, 'get'>,
): TokenRequestHandler {
  return async (namespace, name, body) => {
    const { object, spec } = readReview(body, WHO)
    const expirationSeconds = readSeconds(spec)
    const asked = readTexts(spec, 'audiences', 'spec', WHO)
    if (spec.boundObjectRef) {
      const message = 'tokens are bound to their service account alone: leave the field out'
      throw wrong(WHO, forbiddenValue('spec.boundObjectRef', message))
    }
    const account = await accounts.get(SERVICE_ACCOUNTS, namespace, name)
    if (!account) throw notFound(refusedKind(SERVICE_ACCOUNTS), name)
    const audiences = asked.length > 0 ? asked : [tokens.defaultAudience]
    const status = await tokens.issue(account, audiences, expirationSeconds)
    return {
      ...object,
      metadata: { name, namespace },
      spec: { ...spec, audiences, expirationSeconds },
      status,
    }
  }
}

function readSeconds({ expirationSeconds = DEFAULT_SECONDS }: JsonRecord): number {
  const field = 'spec.expirationSeconds'
  if (expirationSeconds === null) return DEFAULT_SECONDS
  if (typeof expirationSeconds !== 'number' || !Number.isInteger(expirationSeconds)) {
    throw wrong(WHO, invalidValue(field, 'must be a whole number'))
  }
  if (expirationSeconds < SHORTEST_SECONDS) {
    throw wrong(WHO, invalidValue(field, 'may not specify a duration less than 10 minutes'))
  }
  if (expirationSeconds > LONGEST_SECONDS) {
    throw wrong(WHO, invalidValue(field, 'may not specify a duration larger than 2^32 seconds'))
  }
  return expirationSeconds
}
