import { X509Certificate } from 'node:crypto'
import { NoTrust } from '../auth/front-proxy/trust.ts'
import type { TrustSource } from '../auth/front-proxy/trust-cache.ts'
import type { ReadinessCheck } from '../http/readiness.ts'
import type { WatchedTls } from './watched-tls.ts'

/**
 * A server stops being ready this long before its certificate ends, so that others take over; earlier than that in a short
 * life. Source: security.md, E6.
 */
const BEFORE_EXPIRY_MS = 5 * 60_000
const LAST_PART = 1 / 6

/** Whether requests that kube-apiserver forwards can be believed. Source: security.md, A4. */
export function trustCheck(trust: TrustSource): ReadinessCheck {
  return {
    name: 'front-proxy',
    async missing() {
      try {
        trust.current()
        return undefined
      } catch (error) {
        if (error instanceof NoTrust) return error.message
        throw error
      }
    },
  }
}

/** Whether the serving certificate is good for a while. */
export function certificateCheck(
  serving: Pick<WatchedTls, 'current'>,
  now: () => number = Date.now,
): ReadinessCheck {
  return {
    name: 'serving-certificate',
    async missing() {
      const { validFromDate, validToDate } = new X509Certificate(serving.current().cert)
      const end = validToDate.getTime()
      const lastMs = Math.min(BEFORE_EXPIRY_MS, (end - validFromDate.getTime()) * LAST_PART)
      if (end - now() > lastMs) return undefined
      return (
        `the serving certificate ends at ${validToDate.toISOString()}: replace its files, or see why the controller ` +
        'does not renew its Secret'
      )
    },
  }
}
