import { parseAuthority } from '../../../certs/authority-secret.ts'
import type { KeyPair } from '../../../certs/issue.ts'
import type { RotationPolicy } from '../../../certs/rotation.ts'
import { TLS_SECRETS } from '../../kinds/installation.ts'
import { LEASES, SECRETS } from '../../kinds/table.ts'
import { WORKER_ISSUER, WORKER_SELECTOR, WORKER_TRUST } from '../../kinds/worker-lease.ts'
import { StatusError } from '../../lib/errors.ts'
import { openInformer } from '../../store/informer.ts'
import type { Follower } from './keep.ts'
import { startCertificateManager, type CertificateManagerOptions } from './manager.ts'
import { decodeSecret } from './secret-data.ts'

/** Which certificates a controller keeps in Secrets, and for how long they last. */
export interface CertificatePolicy extends Pick<CertificateManagerOptions, 'serving'> {
  policy: RotationPolicy
}

/** The certificates of an installation, kept until this is closed. */
export interface InstallationCertificates extends AsyncDisposable {
  /** The internal authority that signs at this moment. Throws 503 where there is none yet, or `AuthorityUnreadable`. */
  signer(): Promise<KeyPair>
  /** Says how to find out which nodes' workers can be reached: those are waited for when an authority is replaced. */
  reach(isReachable: (node: string) => boolean): void
}

/** Starts to keep them. */
export function openInstallationCertificates(
  options: Omit<CertificateManagerOptions, 'workers'>,
): InstallationCertificates {
  const { store, namespace, clock, log } = options
  const selection = { namespace, labelSelector: WORKER_SELECTOR }
  const leases = openInformer(store, LEASES, selection, { clock, log })
  let isClosed = false
  let isSynced = false
  void leases.synced.then(() => (isSynced = !isClosed))
  let isReachable: ((node: string) => boolean) | undefined

  function workers(): Follower[] | undefined {
    const reach = isReachable
    if (!isSynced || !reach) return undefined
    return leases.list().flatMap(({ metadata: { annotations = {} }, spec }) => {
      const name = spec?.holderIdentity ?? ''
      // One that has its certificate from elsewhere has never fetched anything.
      if (annotations[WORKER_TRUST] === undefined || !reach(name)) return []
      return [{ name, trust: annotations[WORKER_TRUST], issuer: annotations[WORKER_ISSUER] }]
    })
  }

  const manager = startCertificateManager({ ...options, workers })
  return {
    async signer() {
      const secret = await store.get(SECRETS, namespace, TLS_SECRETS.internalAuthority)
      if (!secret) {
        const message = `the Secret ${namespace}/${TLS_SECRETS.internalAuthority} has not been made yet`
        throw new StatusError(503, 'ServiceUnavailable', message, { retryAfterSeconds: 1 })
      }
      return parseAuthority(decodeSecret(secret)).active
    },
    reach: (given) => void (isReachable = given),
    async [Symbol.asyncDispose]() {
      await manager[Symbol.asyncDispose]()
      isClosed = true
      await leases[Symbol.asyncDispose]()
    },
  }
}
