/** For each alert what makes it fire, and what is close to that and does not. */

/** Series in promtool's notation, by name and labels; one value a minute. */
type Series = Record<string, string>

/** An alert as it is after `minutes`: for as long as it has to be so, and some rounds more. */
export interface AlertCase {
  alert: string
  severity?: string
  minutes: number
  fires: Series
  stays: Series
}

const NS = 'namespace="kubevirt"'
const GUEST = 'node="n1",namespace="team",name="vm1"'

/** A figure that stays as it is for two days. */
const is = (value: number) => `${value}x2880`
/** A counter that grows by so much a minute. */
const grows = (perMinute: number) => `0+${perMinute}x2880`

/** Alerts about how many there are of a component, whose alerts are called by `word` and `many`. */
function ofComponent(name: string, word: string, many: string): AlertCase[] {
  const status = `kubevirt_${name.replace('-', '_')}_ready_status`
  const pod = (at: string) => `${NS},pod="${name}-${at}"`
  const running = (at: string): Series => ({
    [`up{${pod(at)}}`]: is(1),
    [`kube_pod_status_phase{${pod(at)},phase="Running"}`]: is(1),
    [`${status}{${pod(at)}}`]: is(1),
  })
  const readyIs = (at: string, value: number): Series => ({
    [`kube_pod_status_ready{${pod(at)},condition="true"}`]: is(value),
  })
  const ready = (at: string): Series => ({ ...running(at), ...readyIs(at, 1) })
  const draining = { ...running('a'), ...readyIs('a', 1), [`${status}{${pod('a')}}`]: is(0) }
  return [
    { alert: `${word}Down`, minutes: 14, fires: {}, stays: running('a') },
    { alert: `NoReady${word}`, minutes: 14, fires: running('a'), stays: ready('a') },
    { alert: `NoReady${word}`, minutes: 14, fires: draining, stays: ready('a') },
    {
      alert: `LowReady${many}Count`,
      minutes: 14,
      fires: { ...ready('a'), ...running('b'), ...readyIs('b', 0) },
      stays: { ...running('a'), ...running('b') },
    },
    {
      alert: `LowReady${many}Count`,
      minutes: 14,
      fires: { ...ready('a'), ...running('b') },
      stays: { ...ready('a'), ...ready('b') },
    },
  ]
}

/** Alerts about the replicas of a Deployment and what the Kubernetes API tells them. */
function ofDeployment(name: string, low: string, burst: string): AlertCase[] {
  const pod = `${NS},pod="${name}-a"`
  const replicas = (wanted: number) => ({
    [`kube_deployment_spec_replicas{${NS},deployment="${name}"}`]: is(wanted),
  })
  const calls = (good: number, bad: number) => ({
    [`kubevirt_rest_client_requests_total{${pod},code="200",method="GET"}`]: grows(good),
    [`kubevirt_rest_client_requests_total{${pod},code="403",method="GET"}`]: grows(bad),
  })
  const up = { [`up{${pod}}`]: is(1) }
  return [
    { alert: low, minutes: 65, fires: { ...up, ...replicas(2) }, stays: { ...up, ...replicas(1) } },
    { alert: burst, minutes: 15, fires: calls(10, 90), stays: calls(30, 70) },
  ]
}

const PRESSED = {
  [`kubevirt_vmi_memory_available_bytes{${GUEST}}`]: is(1000),
  [`kubevirt_vmi_memory_usable_bytes{${GUEST}}`]: is(20),
}
const FAULTS = { [`kubevirt_vmi_memory_pgmajfault_total{${GUEST}}`]: grows(600) }
const QUIET = {
  [`kubevirt_vmi_memory_pgmajfault_total{${GUEST}}`]: grows(60),
  [`kubevirt_vmi_memory_swap_in_traffic_bytes{${GUEST}}`]: grows(1e6),
  [`kubevirt_vmi_memory_swap_out_traffic_bytes{${GUEST}}`]: grows(1e6),
}
const SWAPS = {
  [`kubevirt_vmi_memory_swap_in_traffic_bytes{${GUEST}}`]: grows(40e6),
  [`kubevirt_vmi_memory_swap_out_traffic_bytes{${GUEST}}`]: grows(40e6),
}

const node = (name: string, isClosed = 0): Series => ({
  [`kube_node_status_allocatable{node="${name}",resource="cpu"}`]: is(8),
  [`kube_node_status_allocatable{node="${name}",resource="memory"}`]: is(8e9),
  [`kube_node_spec_unschedulable{node="${name}"}`]: is(isClosed),
  [`kube_node_info{node="${name}"}`]: is(1),
})
const kvm = (name: string, works = 1) => ({
  [`virtgate_node_kvm{${NS},pod="virt-handler-${name}",node="${name}"}`]: is(works),
})
const emulation = (isAllowed: number) => ({
  [`kubevirt_configuration_emulation_enabled{${NS}}`]: is(isAllowed),
})
const daemons = (ready: number) => ({
  [`kube_daemonset_status_number_ready{${NS},daemonset="virt-handler"}`]: is(ready),
  [`kube_daemonset_status_desired_number_scheduled{${NS},daemonset="virt-handler"}`]: is(2),
})
const leading = (one: number) => ({
  [`kubevirt_virt_controller_leading_status{${NS},pod="virt-controller-a"}`]: is(one),
  [`kubevirt_virt_controller_leading_status{${NS},pod="virt-controller-b"}`]: is(0),
})
const guest = { [`kubevirt_vmi_info{${GUEST},phase="running"}`]: is(1) }
const workerPod = (isReady: number) => ({
  [`kube_pod_info{${NS},pod="virt-handler-x",node="n1"}`]: is(1),
  [`kube_pod_status_ready{${NS},pod="virt-handler-x",condition="true"}`]: is(isReady),
})
const vm = (status: string, group: string) => ({
  [`kubevirt_vm_info{namespace="team",name="vm1",status="${status}",status_group="${group}"}`]: is(1),
})
const migrations = (count: number): Series =>
  Object.fromEntries(
    Array.from({ length: count }, (_none, at) => [
      `kubevirt_vmi_migration_succeeded{namespace="team",vmi="vm1",vmim="m${at}"}`,
      // Each is there for an hour, as somebody removes them.
      `${'_ '.repeat(at)}1x60`,
    ]),
  )
const disk = (usedPercent: number) => ({
  [`kubevirt_vmi_filesystem_capacity_bytes{${GUEST},disk_name="vda",mount_point="/"}`]: is(100),
  [`kubevirt_vmi_filesystem_used_bytes{${GUEST},disk_name="vda",mount_point="/"}`]: is(usedPercent),
})
const outdated = (count: number) => ({ [`kubevirt_vmi_number_of_outdated{${NS}}`]: is(count) })
const evictable = (not: number) => ({ [`kubevirt_vmi_non_evictable{${GUEST}}`]: is(not) })

/** Of two virtual CPUs. */
const load = (oneMinute: number): Series => ({
  [`kubevirt_vmi_guest_load_1m{${GUEST}}`]: is(oneMinute),
  [`kubevirt_vmi_vcpu_seconds_total{${GUEST},id="0",state="running"}`]: grows(60),
  [`kubevirt_vmi_vcpu_seconds_total{${GUEST},id="1",state="running"}`]: grows(60),
})
const machine = (wanted: string): Series => ({
  [`kubevirt_vm_info{namespace="team",name="vm1",machine_type="${wanted}"}`]: is(1),
  'kubevirt_node_deprecated_machine_types{node="n1",machine_type="pc-i440fx-2.4"}': is(1),
  'kubevirt_node_deprecated_machine_types{node="n2",machine_type="pc-i440fx-2.4"}': is(1),
})

export const ALERT_CASES: AlertCase[] = [
  ...ofComponent('virt-api', 'VirtAPI', 'VirtAPI'),
  ...ofComponent('virt-controller', 'VirtController', 'VirtControllers'),
  ...ofComponent('virt-handler', 'VirtHandler', 'VirtHandler'),
  ...ofDeployment('virt-api', 'LowVirtAPICount', 'VirtApiRESTErrorsBurst'),
  ...ofDeployment('virt-controller', 'LowVirtControllersCount', 'VirtControllerRESTErrorsBurst'),
  { alert: 'NoLeadingVirtController', minutes: 14, fires: leading(0), stays: leading(1) },
  { alert: 'VirtHandlerDaemonSetRolloutFailing', minutes: 19, fires: daemons(1), stays: daemons(2) },
  {
    alert: 'LowKVMNodesCount',
    minutes: 9,
    fires: { ...node('n1'), ...node('n2'), ...kvm('n1'), ...kvm('n2', 0) },
    stays: { ...node('n1'), ...node('n2'), ...kvm('n1'), ...kvm('n2') },
  },
  { alert: 'LowKVMNodesCount', minutes: 9, fires: { ...node('n1'), ...node('n2') }, stays: node('n1') },
  {
    alert: 'KubeVirtNoAvailableNodesToRunVMs',
    minutes: 9,
    fires: { ...node('n1'), ...kvm('n1', 0), ...emulation(0) },
    stays: { ...node('n1'), ...kvm('n1', 0), ...emulation(1) },
  },
  {
    alert: 'KubeVirtNoAvailableNodesToRunVMs',
    minutes: 9,
    fires: { ...node('n1', 1), ...kvm('n1'), ...emulation(0) },
    stays: { ...node('n1', 1), ...node('n2'), ...kvm('n1'), ...emulation(0) },
  },
  {
    alert: 'OrphanedVirtualMachineInstances',
    minutes: 14,
    fires: { ...guest, ...node('n1'), ...workerPod(0) },
    stays: { ...guest, ...node('n1'), ...workerPod(1) },
  },
  // A host outside of the cluster, which is no node that Kubernetes knows.
  { alert: 'OrphanedVirtualMachineInstances', minutes: 14, fires: { ...guest, ...node('n1') }, stays: guest },
  { alert: 'VMCannotBeEvicted', minutes: 5, fires: evictable(1), stays: evictable(0) },
  { alert: 'KubeVirtVMIExcessiveMigrations', minutes: 30, fires: migrations(12), stays: migrations(11) },
  {
    alert: 'OutdatedVirtualMachineInstanceWorkloads',
    minutes: 24 * 60 + 40,
    fires: outdated(1),
    stays: outdated(0),
  },
  {
    alert: 'VirtualMachineStuckInUnhealthyState',
    minutes: 14,
    fires: vm('provisioning', 'starting'),
    stays: { ...vm('provisioning', 'starting'), ...guest },
  },
  {
    alert: 'VirtualMachineStuckInUnhealthyState',
    minutes: 14,
    fires: vm('errorunschedulable', 'error'),
    stays: vm('stopped', 'non_running'),
  },
  {
    alert: 'VirtualMachineStuckOnNode',
    minutes: 9,
    fires: { ...vm('terminating', 'non_running'), ...guest },
    stays: { ...vm('running', 'running'), ...guest },
  },
  {
    alert: 'KubeVirtVMGuestMemoryPressure',
    minutes: 15,
    fires: { ...PRESSED, ...FAULTS },
    stays: { ...PRESSED, ...QUIET },
  },
  { alert: 'KubeVirtVMGuestMemoryPressure', minutes: 15, fires: { ...PRESSED, ...SWAPS }, stays: SWAPS },
  {
    alert: 'KubeVirtVMGuestMemoryAvailableLow',
    minutes: 75,
    fires: { ...PRESSED, ...QUIET },
    stays: { ...PRESSED, ...SWAPS },
  },
  { alert: 'KubeVirtVMGuestMemoryAvailableLow', minutes: 75, fires: PRESSED, stays: QUIET },
  { alert: 'GuestVCPUQueueHighWarning', minutes: 3, fires: load(13), stays: load(12) },
  { alert: 'GuestVCPUQueueHighCritical', minutes: 3, fires: load(23), stays: load(22) },
  { alert: 'DeprecatedMachineType', minutes: 3, fires: machine('pc-i440fx-2.4'), stays: machine('q35') },
  {
    alert: 'GuestFilesystemAlmostOutOfSpace',
    severity: 'warning',
    minutes: 14,
    fires: disk(86),
    stays: disk(84),
  },
  {
    alert: 'GuestFilesystemAlmostOutOfSpace',
    severity: 'critical',
    minutes: 3,
    fires: disk(96),
    stays: disk(94),
  },
]
