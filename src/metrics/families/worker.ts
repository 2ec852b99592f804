/** What a node tells of its guests. Source: contract metrics.md, section 4. */
import { counter, gauge, type Family } from './family.ts'

/** Of every series of a guest; the last stands for one label for each label of the VMI. */
const GUEST = ['node', 'namespace', 'name']
const LABELS = 'kubernetes_vmi_label_*'

/** Labels of a VMI are told by names that begin so. */
export const VMI_LABEL_PREFIX = LABELS.slice(0, -1)

const sum = (help: string, ...more: string[]): Family => counter(help, ...GUEST, LABELS, ...more)
const level = (help: string, ...more: string[]): Family => gauge(help, ...GUEST, LABELS, ...more)

export const WORKER_FAMILIES = {
  kubevirt_virt_handler_ready_status: gauge('1 where the worker serves'),
  kubevirt_info: gauge('Version of the worker', 'goversion', 'kubeversion'),
  kubevirt_node_deprecated_machine_types: gauge(
    'A machine type that a later QEMU will lack',
    'machine_type',
    'node',
  ),
  kubevirt_vmi_cpu_usage_seconds_total: sum('CPU time of a guest and its QEMU'),
  kubevirt_vmi_cpu_user_usage_seconds_total: sum('The part of it in user mode'),
  kubevirt_vmi_cpu_system_usage_seconds_total: sum('The part of it in system mode'),
  kubevirt_vmi_guest_load_1m: level('Load of the guest in the last minute, as its agent says'),
  kubevirt_vmi_guest_load_5m: level('The same in the last 5 minutes'),
  kubevirt_vmi_guest_load_15m: level('The same in the last 15 minutes'),
  kubevirt_vmi_vcpu_seconds_total: sum('CPU time of a virtual CPU', 'id', 'state'),
  kubevirt_vmi_vcpu_wait_seconds_total: sum('Time that a virtual CPU has waited', 'id'),
  kubevirt_vmi_vcpu_delay_seconds_total: sum('Time that a virtual CPU was queued', 'id'),
  kubevirt_vmi_memory_domain_bytes: level('Memory of a guest'),
  kubevirt_vmi_memory_resident_bytes: level('Resident memory of its QEMU'),
  kubevirt_vmi_memory_actual_balloon_bytes: level('Memory that the balloon leaves the guest'),
  kubevirt_vmi_memory_available_bytes: level('Memory that the kernel of the guest sees'),
  kubevirt_vmi_memory_usable_bytes: level('Memory that the guest could use without swapping'),
  kubevirt_vmi_memory_unused_bytes: level('Memory that the guest does not use'),
  kubevirt_vmi_memory_cached_bytes: level('Caches that the guest could drop'),
  kubevirt_vmi_memory_swap_in_traffic_bytes: level('What the guest has read from swap'),
  kubevirt_vmi_memory_swap_out_traffic_bytes: level('What the guest has written to swap'),
  kubevirt_vmi_memory_pgmajfault_total: sum('Page faults of the guest that took a disk'),
  kubevirt_vmi_memory_pgminfault_total: sum('Page faults of the guest that took none'),
  kubevirt_vmi_dirty_rate_bytes_per_second: level('Memory that the guest writes to, measured while it moves'),
  kubevirt_vmi_network_receive_bytes_total: sum('Bytes that the guest has received', 'interface'),
  kubevirt_vmi_network_receive_packets_total: sum('Packets that the guest has received', 'interface'),
  kubevirt_vmi_network_receive_errors_total: sum('Errors on the way to the guest', 'interface'),
  kubevirt_vmi_network_receive_packets_dropped_total: sum(
    'Packets dropped on the way to the guest',
    'interface',
  ),
  kubevirt_vmi_network_transmit_bytes_total: sum('Bytes that the guest has sent', 'interface'),
  kubevirt_vmi_network_transmit_packets_total: sum('Packets that the guest has sent', 'interface'),
  kubevirt_vmi_network_transmit_errors_total: sum('Errors on the way from the guest', 'interface'),
  kubevirt_vmi_network_transmit_packets_dropped_total: sum(
    'Packets dropped on the way from the guest',
    'interface',
  ),
  kubevirt_vmi_network_traffic_bytes_total: sum('The same as the two counters of bytes', 'interface', 'type'),
  kubevirt_vmi_storage_iops_read_total: sum('Reads from a disk', 'drive'),
  kubevirt_vmi_storage_iops_write_total: sum('Writes to a disk', 'drive'),
  kubevirt_vmi_storage_read_traffic_bytes_total: sum('Bytes read from a disk', 'drive'),
  kubevirt_vmi_storage_write_traffic_bytes_total: sum('Bytes written to a disk', 'drive'),
  kubevirt_vmi_storage_read_times_seconds_total: sum('Time in reads', 'drive'),
  kubevirt_vmi_storage_write_times_seconds_total: sum('Time in writes', 'drive'),
  kubevirt_vmi_storage_flush_requests_total: sum('Flushes of a disk', 'drive'),
  kubevirt_vmi_storage_flush_times_seconds_total: sum('Time in flushes', 'drive'),
  kubevirt_vmi_filesystem_capacity_bytes: level(
    'Size of a file system of the guest',
    'disk_name',
    'mount_point',
    'file_system_type',
  ),
  kubevirt_vmi_filesystem_used_bytes: level(
    'Used part of a file system of the guest',
    'disk_name',
    'mount_point',
    'file_system_type',
  ),
  kubevirt_vmi_migration_data_bytes_total: counter('What there is to be moved', ...GUEST),
  kubevirt_vmi_migration_data_processed_bytes: gauge('What of it was moved', ...GUEST),
  kubevirt_vmi_migration_data_remaining_bytes: gauge('What of it remains', ...GUEST),
  kubevirt_vmi_migration_dirty_memory_rate_bytes: gauge(
    'Memory that the guest writes to in a second while it moves',
    ...GUEST,
  ),
  kubevirt_vmi_migration_memory_transfer_rate_bytes: gauge('Memory that is moved in a second', ...GUEST),
}
