import { formatAuthority, parseAuthority } from '../../../certs/authority-secret.ts'
import { createAuthority, type KeyPair } from '../../../certs/issue.ts'
import { bundleOf, nextStep, take, type Authority, type RotationPolicy } from '../../../certs/rotation.ts'
import { RENEW_ANNOTATION } from '../../kinds/installation.ts'
import { SECRETS } from '../../kinds/table.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { keyHash } from '../../lib/pem.ts'
import { bundleHash } from './bundle-hash.ts'
import { putSecret, type CertificateStorage, type Outlet } from './outlets.ts'
import { decodeSecret } from './secret-data.ts'

/** What somebody who fetches the bundle from us has taken up. */
export interface Follower {
  name: string
  /** `bundleHash` of the bundle that it believes. */
  trust: string | undefined
  /** `keyHash` of the authority of its own certificate. */
  issuer: string | undefined
}

/** An authority in a Secret, and all that follows it. */
export interface KeptAuthority {
  namespace: string
  /** Name of its Secret. */
  name: string
  outlets: readonly Outlet[]
  /** Those who fetch the bundle and can be reached at this moment; `undefined` while that is not known. */
  followers(): readonly Follower[] | undefined
}

/** What it is kept with. */
export interface KeepOptions {
  store: CertificateStorage
  policy: RotationPolicy
  clock: Pick<Clock, 'now'>
  log: Log
}

const DAY_MS = 24 * 60 * 60 * 1000

/**
 * Publishes the authority and what it signs, and takes the one step that is due. Answers whether a step was taken: then
 * there may be another. Every write is refused where somebody else was quicker; that is a 409, and to be tried again.
 */
export async function keepAuthority(kept: KeptAuthority, options: KeepOptions): Promise<boolean> {
  const { store, policy, clock, log } = options
  const { namespace, name } = kept
  const writes = await Promise.all(kept.outlets.map((outlet) => outlet.look()))
  // Read last: what is written below is then about an authority that is no older than what it replaces.
  const secret = await store.get(SECRETS, namespace, name)
  if (!secret) {
    const authority: Authority = { active: await create(kept, options), retired: [] }
    await putSecret(store, kept, undefined, formatAuthority(authority))
    log.info({ secret: name }, 'an authority was made')
    return true
  }
  const authority = parseAuthority(decodeSecret(secret))
  for (const write of writes) await write(authority)
  const step = nextStep(authority, policy, {
    now: clock.now(),
    request: secret.metadata.annotations?.[RENEW_ANNOTATION],
    ...confirmations(kept.followers(), authority),
  })
  if (!step) return false
  const pair = step.step === 'announce' ? await create(kept, options) : undefined
  const after = take(authority, step, () => pair ?? authority.active)
  await putSecret(store, kept, secret, formatAuthority(after))
  log.info({ secret: name, step: step.step }, 'the rotation of an authority goes on')
  return true
}

function confirmations(followers: readonly Follower[] | undefined, authority: Authority) {
  const trust = bundleHash(bundleOf(authority))
  const issuer = keyHash(authority.active.cert)
  return {
    isTrusted: followers?.every((one) => one.trust === trust) ?? false,
    isReplaced: followers?.every((one) => one.issuer === issuer) ?? false,
  }
}

/** Authorities differ in their names, too: some programs look for an issuer by its name alone. */
function create({ name }: KeptAuthority, { policy, clock }: KeepOptions): Promise<KeyPair> {
  const now = clock.now()
  const commonName = `${name}@${Math.floor(now / 1000)}`
  return createAuthority({ commonName, now: new Date(now), days: policy.authorityMs / DAY_MS })
}
