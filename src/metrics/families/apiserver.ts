/** What the API server tells. Source: contract metrics.md, section 2. */
import { counter, gauge } from './family.ts'

const VMI = ['namespace', 'vmi']

export const APISERVER_FAMILIES = {
  kubevirt_virt_api_ready_status: gauge('1 while the server takes requests, 0 from the start of its end'),
  kubevirt_console_active_connections: gauge('Serial consoles that are open', ...VMI),
  kubevirt_vnc_active_connections: gauge('VNC sessions that are open', ...VMI),
  kubevirt_portforward_active_tunnels: gauge('Forwarded ports that are open', ...VMI),
  kubevirt_usbredir_active_connections: gauge('USB redirections that are open', ...VMI),
  kubevirt_vmi_last_api_connection_timestamp_seconds: gauge(
    'When the last console, VNC, port-forward or USB session of the VMI ended',
    ...VMI,
  ),
  kubevirt_vm_created_by_pod_total: counter('VMs that this process has admitted for creation', 'namespace'),
}
