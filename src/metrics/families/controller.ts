/** What the leading controller tells of the objects. Source: contract metrics.md, sections 3 and 6. */
import { counter, gauge, histogram } from './family.ts'

const NAMED = ['name', 'namespace']
const ON_NODE = ['node', 'namespace', 'name']
const NICS = [...NAMED, 'vnic_name', 'binding_type', 'network', 'binding_name', 'model']
const KIND_OF_GUEST = ['os', 'workload', 'flavor', 'instance_type', 'preference']
const TRANSITIONS = [0.5, 1, 2, 5, 10, 20, 30, 40, 50, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600]

export const CONTROLLER_FAMILIES = {
  kubevirt_virt_controller_leading_status: gauge('1 in the process that leads'),
  kubevirt_virt_controller_ready_status: gauge('1 where the process could take the lead'),
  kubevirt_configuration_emulation_enabled: gauge('1 where guests may run without KVM'),
  kubevirt_vm_info: gauge(
    'A VM, and how it is',
    ...NAMED,
    ...KIND_OF_GUEST,
    'machine_type',
    'status',
    'status_group',
  ),
  kubevirt_vm_labels: gauge('Labels of a VM', ...NAMED, 'label_*'),
  kubevirt_vm_create_date_timestamp_seconds: gauge('When the VM was created', ...NAMED),
  kubevirt_vm_starting_status_last_transition_timestamp_seconds: sinceWhen('is about to run'),
  kubevirt_vm_running_status_last_transition_timestamp_seconds: sinceWhen('runs'),
  kubevirt_vm_migrating_status_last_transition_timestamp_seconds: sinceWhen('moves'),
  kubevirt_vm_non_running_status_last_transition_timestamp_seconds: sinceWhen('does not run'),
  kubevirt_vm_error_status_last_transition_timestamp_seconds: sinceWhen('is in error'),
  kubevirt_vm_resource_requests: gauge(
    'What a VM asks for, its instance type and preference written out',
    ...NAMED,
    'resource',
    'unit',
    'source',
  ),
  kubevirt_vm_resource_limits: gauge('What a VM is limited to', ...NAMED, 'resource', 'unit'),
  kubevirt_vm_disk_allocated_size_bytes: gauge(
    'Size of a claim that is a disk of the VM',
    ...NAMED,
    'persistentvolumeclaim',
    'volume_mode',
    'device',
  ),
  kubevirt_vm_vnic_info: gauge('A network card of a VM', ...NICS),
  kubevirt_vmi_vnic_info: gauge('A network card of a running instance', ...NICS),
  kubevirt_vmi_info: gauge(
    'An instance, and how it is',
    ...ON_NODE,
    ...KIND_OF_GUEST,
    'phase',
    'guest_os_kernel_release',
    'guest_os_machine',
    'guest_os_arch',
    'guest_os_name',
    'guest_os_version_id',
    'evictable',
    'outdated',
    'vmi_pod',
  ),
  kubevirt_vmi_non_evictable: gauge(
    '1 where an instance is to be moved at eviction and cannot be',
    ...ON_NODE,
  ),
  kubevirt_vmi_number_of_outdated: gauge('Instances that do not run on the current version'),
  kubevirt_vmi_status_addresses: gauge(
    'An address of a guest',
    ...ON_NODE,
    'vnic_name',
    'interface_name',
    'address',
    'type',
  ),
  kubevirt_vmi_launcher_memory_overhead_bytes: gauge(
    'Memory that an instance is reckoned to take beyond that of its guest',
    'namespace',
    'name',
  ),
  kubevirt_vmi_phase_transition_time_seconds: histogram(
    'Time from one phase to the next',
    TRANSITIONS,
    'phase',
    'last_phase',
  ),
  kubevirt_vmi_phase_transition_time_from_creation_seconds: histogram(
    'Time from the creation of an instance to a phase',
    TRANSITIONS,
    'phase',
  ),
  kubevirt_vmi_phase_transition_time_from_deletion_seconds: histogram(
    'Time from the request to delete an instance to its last phase',
    TRANSITIONS,
    'phase',
  ),
  kubevirt_vmi_migrations_in_pending_phase: gauge('Migrations that wait for their turn'),
  kubevirt_vmi_migrations_in_scheduling_phase: gauge('Migrations that look for a node'),
  kubevirt_vmi_migrations_in_running_phase: gauge('Migrations that are under way'),
  kubevirt_vmi_migrations_in_unset_phase: gauge('Migrations that nobody has looked at'),
  kubevirt_vmi_migration_succeeded: gauge('A migration that succeeded', 'vmi', 'vmim', 'namespace'),
  kubevirt_vmi_migration_failed: gauge('A migration that failed', 'vmi', 'vmim', 'namespace'),
  kubevirt_vmi_migration_start_time_seconds: gauge(
    'When the last migration of an instance began',
    ...ON_NODE,
    'migration_name',
  ),
  kubevirt_vmi_migration_end_time_seconds: gauge(
    'When the last migration of an instance ended',
    ...ON_NODE,
    'migration_name',
    'status',
  ),
  kubevirt_vmi_migration_phase_transition_time_from_creation_seconds: histogram(
    'Time from the creation of a migration to a phase',
    TRANSITIONS,
    'phase',
  ),
}

/** A counter by its type, though it is the moment of a condition's last transition, or 0: dashboards depend on that. */
function sinceWhen(what: string) {
  return counter(`Last transition of a VM that ${what}; 0 of any other`, ...NAMED)
}
