/** Until when certificates are good. Source: security.md, E6. */
import { X509Certificate } from 'node:crypto'
import type { MetricSource } from './reading.ts'

/** A certificate that is in use, PEM: read anew at each scrape, as it is replaced while we run. */
export type CertificateInUse = () => string | undefined

/** When each of these ends, by a name such as `serving`. A file with several counts by its first. */
export function certificateSource(certificates: Record<string, CertificateInUse>): MetricSource {
  return {
    source: 'certificates',
    collect: () =>
      Object.entries(certificates).flatMap(([certificate, current]) => {
        const pem = current()
        if (pem === undefined) return []
        const { validToDate } = new X509Certificate(pem)
        const value = validToDate.getTime() / 1000
        return [{ name: 'virtgate_certificate_not_after_timestamp_seconds', labels: { certificate }, value }]
      }),
  }
}
