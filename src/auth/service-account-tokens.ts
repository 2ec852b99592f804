/**
 * Tokens of service accounts: JWTs signed by this installation's own key.
 * Source: "Managing Service Accounts" in the Kubernetes documentation, `pkg/serviceaccount/claims.go`.
 */
import { createHash, createPrivateKey, createPublicKey, randomUUID, type KeyObject } from 'node:crypto'
import type * as Jose from 'jose'
import type { Clock } from '../lib/clock.ts'
import { formatTime } from '../lib/clock.ts'
import { unauthorized } from '../lib/errors.ts'
import { isRecord } from '../lib/json.ts'
import type { ServiceAccount } from '../kinds/core.ts'
import { SERVICE_ACCOUNTS } from '../kinds/table.ts'
import type { ObjectReader } from '../store/store.ts'
import type { Authenticator, User } from './access.ts'
import { serviceAccountUser, serviceAccountUserName } from '../kinds/service-account.ts'

/** Issuer and audience where nothing else is asked for: what Kubernetes clients inside a cluster call the API. */
export const DEFAULT_ISSUER = 'https://kubernetes.default.svc'

const ALGORITHM = 'ES256'

/** What tokens are made and read with. */
export interface TokenOptions {
  /** P-256, PKCS #8 PEM. */
  privateKey: string
  /** Read at each use of a token: it dies with its account. */
  accounts: Pick<ObjectReader, 'get'>
  clock: Pick<Clock, 'now'>
  issuer?: string
}

/** A token and when it ends (RFC 3339). */
export interface IssuedToken {
  token: string
  expirationTimestamp: string
}

/** Who a token stands for, and at which of the audiences asked about it is good. */
export interface TokenVerdict {
  user: User
  audiences: string[]
}

/** Knows tokens. `undefined`: not one of its own. Throws 401 where it is one of its own and no good. */
export interface TokenReader {
  /** `audiences`: one of them has to be the token's; those of this API where none is named. */
  read(token: string, audiences: readonly string[]): Promise<TokenVerdict | undefined>
}

/** Makes and reads the tokens of service accounts. */
export interface ServiceAccountTokens extends TokenReader {
  /** The audience of a token that names none. */
  defaultAudience: string
  issue(
    account: ServiceAccount,
    audiences: readonly string[],
    expirationSeconds: number,
  ): Promise<IssuedToken>
}

/** Tokens signed by `privateKey`. jose (0.05 s, 14 MB) is loaded by the first token. */
export function buildServiceAccountTokens(options: TokenOptions): ServiceAccountTokens {
  const { accounts, clock, issuer = DEFAULT_ISSUER } = options
  const privateKey = createPrivateKey(options.privateKey)
  const publicKey = createPublicKey(privateKey)
  const keyId = keyIdOf(publicKey)

  return {
    defaultAudience: issuer,

    async issue({ metadata: { namespace, name, uid } }, audiences, expirationSeconds) {
      const { SignJWT } = await loadJose()
      const now = Math.floor(clock.now() / 1000)
      const claims = { 'kubernetes.io': { namespace, serviceaccount: { name, uid } } }
      const token = await new SignJWT(claims)
        .setProtectedHeader({ alg: ALGORITHM, kid: keyId })
        .setIssuer(issuer)
        .setSubject(serviceAccountUserName({ namespace, name }))
        .setAudience([...audiences])
        .setJti(randomUUID())
        .setIssuedAt(now)
        .setNotBefore(now)
        .setExpirationTime(now + expirationSeconds)
        .sign(privateKey)
      return { token, expirationTimestamp: formatTime((now + expirationSeconds) * 1000) }
    },

    async read(token, audiences) {
      const jose = await loadJose()
      if (issuerOf(token, jose) !== issuer) return undefined
      const wanted = audiences.length > 0 ? [...audiences] : [issuer]
      const claims = await verify(jose, token, publicKey, {
        issuer,
        audience: wanted,
        currentDate: new Date(clock.now()),
      })
      const user = await userOf(claims, accounts)
      const own = [claims.aud ?? []].flat()
      return { user, audiences: wanted.filter((audience) => own.includes(audience)) }
    },
  }
}

/** Lets the bearers of tokens in that are meant for this API. */
export function buildTokenAuthenticator(tokens: TokenReader): Authenticator {
  return {
    async authenticate({ bearerToken }) {
      return bearerToken === undefined ? undefined : (await tokens.read(bearerToken, []))?.user
    },
  }
}

type Library = typeof Jose

function loadJose(): Promise<Library> {
  return import('jose')
}

/** Who says to have signed it, without a look at the signature; `undefined` where it is no JWT. */
function issuerOf(token: string, { decodeJwt }: Library): string | undefined {
  try {
    return decodeJwt(token).iss
  } catch {
    // Opaque tokens belong to somebody else.
    return undefined
  }
}

async function verify(
  jose: Library,
  token: string,
  key: KeyObject,
  options: Jose.JWTVerifyOptions,
): Promise<Jose.JWTPayload> {
  try {
    const { payload } = await jose.jwtVerify(token, key, {
      ...options,
      algorithms: [ALGORITHM],
      requiredClaims: ['exp', 'sub', 'aud'],
    })
    return payload
  } catch (error) {
    // What exactly is wrong with a token is nobody's business but ours.
    if (error instanceof jose.errors.JOSEError) throw unauthorized()
    throw error
  }
}

/** The account has to be there still, and be the one the token was made for. */
async function userOf(claims: Jose.JWTPayload, accounts: Pick<ObjectReader, 'get'>): Promise<User> {
  const bound = boundAccount(claims)
  if (!bound || claims.sub !== serviceAccountUserName(bound)) throw unauthorized()
  const account = await accounts.get(SERVICE_ACCOUNTS, bound.namespace, bound.name)
  if (account?.metadata.uid !== bound.uid) throw unauthorized()
  return {
    ...serviceAccountUser(bound),
    uid: bound.uid,
    ...(claims.jti && { extra: { 'authentication.kubernetes.io/credential-id': [`JTI=${claims.jti}`] } }),
  }
}

function boundAccount(claims: Jose.JWTPayload): { namespace: string; name: string; uid: string } | undefined {
  const own = claims['kubernetes.io']
  if (!isRecord(own) || !isRecord(own.serviceaccount)) return undefined
  const { namespace } = own
  const { name, uid } = own.serviceaccount
  if (typeof namespace !== 'string' || typeof name !== 'string' || typeof uid !== 'string') return undefined
  return { namespace, name, uid }
}

/** As Kubernetes does: the hash of the public key. */
function keyIdOf(key: KeyObject): string {
  const der = key.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(der).digest('base64url')
}
