/** What KubeVirt does not tell. Our own names begin with `virtgate_`. Source: contract metrics.md, section 9. */
import { counter, gauge, histogram } from './family.ts'

/** Of what people wait for. */
const ANSWERS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
/** Of what a process does by itself, in a tenth of a millisecond where nothing is amiss. */
const STEPS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5]

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
  virtgate_request_duration_seconds: histogram(
    'Time until a request was answered, by its route; streams that were opened are not among them',
    ANSWERS,
    'route',
    'verb',
    'code',
  ),
  virtgate_request_queue_wait_seconds: histogram(
    "Time that requests waited for their user's turn",
    STEPS,
    'lane',
  ),
  virtgate_requests_turned_away_total: counter(
    'Requests refused with 429, as too many of their user were waiting',
    'lane',
  ),
  virtgate_streams_refused_total: counter('Streams refused, by the limit that was reached', 'type', 'limit'),
  virtgate_stream_open_duration_seconds: histogram(
    'Time until a node had connected a stream to its guest',
    ANSWERS,
    'type',
  ),
  virtgate_stream_bytes_total: counter('Bytes that streams have carried', 'type', 'direction'),
  virtgate_streams_closed_total: counter('Streams that have ended, and why', 'type', 'reason'),
  virtgate_admission_duration_seconds: histogram(
    'Time that the admission rules took',
    STEPS,
    'resource',
    'type',
    'allowed',
  ),
  virtgate_admission_rejections_total: counter(
    'Objects that were refused, by what the first cause says',
    'resource',
    'type',
    'code',
    'reason',
    'field',
  ),
  virtgate_access_review_duration_seconds: histogram(
    'Time until the Kubernetes API answered a review of access or of a token',
    ANSWERS,
    'review',
    'result',
  ),
  virtgate_access_review_lookups_total: counter(
    'Reviews that were wanted: known already (hit), being asked for (joined), or asked for (miss)',
    'review',
    'result',
  ),
  virtgate_store_transaction_duration_seconds: histogram('Time that a commit to the database took', STEPS),
  virtgate_store_size_bytes: gauge('Size of the database', 'file'),
  virtgate_event_loop_delay_seconds: histogram(
    'How late a timer was, taken twice a second while somebody scrapes',
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  ),
}
