/** What KubeVirt does not tell. Our own names begin with `virtgate_`. Source: contract metrics.md, section 9. */
import { gauge } from './family.ts'

export const OWN_FAMILIES = {
  virtgate_build_info: gauge('Version of this program', 'version'),
  virtgate_certificate_not_after_timestamp_seconds: gauge(
    'When the certificate that is in use ends, in seconds since 1970',
    'certificate',
  ),
}
