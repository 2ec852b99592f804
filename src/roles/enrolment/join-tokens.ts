import type { Secret } from '../../kinds/core.ts'
import { JOIN_TOKENS_SECRET } from '../../kinds/installation.ts'
import { isSecretOf, parseJoinToken, parseKeptToken, type KeptToken } from '../../kinds/join-token.ts'
import { LEASES, SECRETS } from '../../kinds/table.ts'
import { workerLeaseName } from '../../kinds/worker-lease.ts'
import type { Clock } from '../../lib/clock.ts'
import { StatusError, unauthorized } from '../../lib/errors.ts'
import { retryRaces } from '../../lib/races.ts'
import type { ObjectReader, ObjectWriter } from '../../store/store.ts'
import { decodeSecret, encodeSecret } from '../certificates/secret-data.ts'

/** Who wants to enrol with a token. */
export interface Candidate {
  node: string
  /** `publicKeyHash` of the key that the certificate is to be for. */
  key: string
}

/** What using up a token takes. */
export interface JoinTokenParts {
  store: Pick<ObjectReader, 'get'> & Pick<ObjectWriter, 'update'>
  namespace: string
  clock: Pick<Clock, 'now'>
}

/**
 * Uses up a token. It is good once: for one node and one key, which may come again where the answer was lost, as nobody
 * else has that key. Throws 401 and 403.
 */
export async function useJoinToken(parts: JoinTokenParts, text: string, candidate: Candidate): Promise<void> {
  const { id, secret } = readToken(text)
  // Others may use up this one or another one at the same time: then it is looked at again.
  await retryRaces(['Conflict'], async () => {
    const object = await parts.store.get(SECRETS, parts.namespace, JOIN_TOKENS_SECRET)
    const kept = parseKeptToken(object && decodeSecret(object)[id])
    if (!object || !kept || !isSecretOf(kept, secret)) throw unauthorized('nobody knows this join token')
    if (!(await mayUse(parts, kept, candidate))) return
    await parts.store.update(SECRETS, withUsed(object, id, kept, candidate, parts.clock))
  })
}

function readToken(text: string) {
  try {
    return parseJoinToken(text)
  } catch (error) {
    throw unauthorized(error instanceof Error ? error.message : 'this is no join token')
  }
}

/** Whether the token is to be used up; not where the same candidate has done so. Throws 401 and 403. */
async function mayUse(
  { store, namespace, clock }: JoinTokenParts,
  { node, expires, used }: KeptToken,
  candidate: Candidate,
): Promise<boolean> {
  // What cannot be read as a time has ended.
  if (!(clock.now() < Date.parse(expires)))
    throw unauthorized(`the join token ended at ${expires}: make another one`)
  if (used) {
    if (used.node === candidate.node && used.key === candidate.key) return false
    throw unauthorized('the join token was used: make another one, each is good once')
  }
  if (node !== undefined && node !== candidate.node) {
    throw refused(`the join token is for the node ${node}, not for ${candidate.node}`)
  }
  if (node === undefined && (await store.get(LEASES, namespace, workerLeaseName(candidate.node)))) {
    throw refused(
      `there is a worker of ${candidate.node} already: to enrol it again, make a token with --node ${candidate.node}`,
    )
  }
  return true
}

function refused(message: string): StatusError {
  return new StatusError(403, 'Forbidden', message)
}

/** The token as used, without those that have ended. */
function withUsed(
  object: Secret,
  id: string,
  kept: KeptToken,
  used: Candidate,
  clock: Pick<Clock, 'now'>,
): Secret {
  const others = Object.entries(decodeSecret(object)).filter(([name, text]) => {
    const other = parseKeptToken(text)
    return name !== id && other && clock.now() < Date.parse(other.expires)
  })
  const data = Object.fromEntries([...others, [id, JSON.stringify({ ...kept, used })]])
  return { ...object, data: encodeSecret(data) }
}
