/** Series of KubeVirt that are not told, and why. */
export const NOT_BUILT: Record<string, string> = {
  kubevirt_vmsnapshot_succeeded_timestamp_seconds: 'snapshots are stored, and nothing carries them out yet',
  kubevirt_node_deprecated_machine_types:
    'the probe of QEMU does not keep which machine types are deprecated',
  kubevirt_vmi_guest_load_1m: 'the agents that tell it (10.0 and newer) are not asked yet',
  kubevirt_vmi_guest_load_5m: 'the agents that tell it (10.0 and newer) are not asked yet',
  kubevirt_vmi_guest_load_15m: 'the agents that tell it (10.0 and newer) are not asked yet',
  kubevirt_vmi_node_cpu_affinity: 'no vCPU is pinned: dedicated placement is refused',
  kubevirt_vmi_dirty_rate_bytes_per_second: 'it is measured only when a guest moves',
  kubevirt_vmi_migration_dirty_memory_rate_bytes: 'QEMU is asked for it by nobody while a guest moves',
  kubevirt_vmi_migration_memory_transfer_rate_bytes: 'QEMU is asked for it by nobody while a guest moves',
  kubevirt_vmi_guest_os_panic_total: 'the count would end with the guest, as its QEMU does at a panic',
  kubevirt_vmi_gpu_info: 'no host device is given to a guest',
  kubevirt_rest_client_rate_limiter_duration_seconds:
    'calls to the Kubernetes API are not limited on our side: nothing is waited for',
}
