/** What every process tells of itself. Source: contract metrics.md, section 1; Prometheus' "Writing client libraries". */
import { counter, gauge } from './family.ts'

export const PROCESS_FAMILIES = {
  process_cpu_user_seconds_total: counter('CPU time in user mode'),
  process_cpu_system_seconds_total: counter('CPU time in system mode'),
  process_cpu_seconds_total: counter('CPU time in user and system mode'),
  process_start_time_seconds: gauge('When the process started, in seconds since 1970'),
  process_resident_memory_bytes: gauge('Resident memory'),
  process_open_fds: gauge('Open file descriptors'),
  process_max_fds: gauge('File descriptors that may be open'),
  nodejs_heap_size_total_bytes: gauge('Size of the heap'),
  nodejs_heap_size_used_bytes: gauge('Used part of the heap'),
  nodejs_external_memory_bytes: gauge('Memory outside of the heap that objects in it keep'),
  nodejs_eventloop_utilization: gauge(
    'Part of the time, since the start, in which the event loop was at work',
  ),
  nodejs_version_info: gauge('Version of Node', 'version', 'major', 'minor', 'patch'),
}
