/** What KubeVirt does not tell. Our own names begin with `virtgate_`. Source: contract metrics.md, section 9. */
import { counter, gauge, histogram } from './family.ts'

export const OWN_FAMILIES = {
  virtgate_build_info: gauge('Version of this program', 'version'),
  virtgate_certificate_not_after_timestamp_seconds: gauge(
    'When the certificate that is in use ends, in seconds since 1970',
    'certificate',
  ),
  virtgate_node_kvm: gauge('1 where guests of the node run with KVM, 0 where they are emulated', 'node'),
  virtgate_vmi_phase_transition_seconds: histogram(
    'Time from one phase to the next, as the controller has seen it',
    [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 13, 20, 30, 60],
    'phase',
    'last_phase',
  ),
  virtgate_worker_reports_dropped_total: counter(
    'Reports of a worker that were not believed: of a guest that is not on its node (foreign), malformed or too_long',
    'node',
    'reason',
  ),
}
