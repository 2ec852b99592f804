/** Series of KubeVirt that are not told, and why. */
export const NOT_BUILT: Record<string, string> = {
  kubevirt_vmsnapshot_succeeded_timestamp_seconds: 'snapshots are stored, and nothing carries them out yet',
  kubevirt_vmi_node_cpu_affinity: 'no vCPU is pinned: dedicated placement is refused',
  kubevirt_vmi_guest_os_panic_total: 'the count would end with the guest, as its QEMU does at a panic',
  kubevirt_vmi_gpu_info: 'no host device is given to a guest',
  kubevirt_rest_client_rate_limiter_duration_seconds:
    'calls to the Kubernetes API are not limited on our side: nothing is waited for',
}
