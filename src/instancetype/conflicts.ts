/** What a template may not say because its instance type says it. Contract: admission-vm.md, 2.3. */
import type { InstancetypeSpec } from '../kinds/instancetype.ts'
import type { VmiSpec, VmiTemplate } from '../kinds/kubevirt.ts'
import { invalidValue } from '../lib/causes.ts'
import type { Cause } from '../lib/errors.ts'
import { FieldPath } from '../lib/field-path.ts'

const AT = new FieldPath('spec.template.spec')
const DOMAIN = AT.child('domain')

/** What the template and the instance type both say, in the order clients see it. Contract: VM-IT-001 … 023. */
export function findConflicts(template: VmiTemplate, instancetype: InstancetypeSpec): Cause[] {
  const { spec } = template
  return [
    ...schedulingConflicts(spec, instancetype),
    ...cpuRequestConflicts(spec),
    ...cpuConflicts(spec, instancetype),
    ...memoryConflicts(spec, instancetype),
    ...ioConflicts(spec, instancetype),
    ...deviceConflicts(spec, instancetype),
    ...annotationConflicts(template, instancetype),
  ]
}

function clash(field: FieldPath | string): Cause {
  return invalidValue(field, `the instance type sets this: remove ${String(field)}, or use no instance type`)
}

/** Contract: VM-IT-001, 002. */
function schedulingConflicts(spec: VmiSpec, instancetype: InstancetypeSpec): Cause[] {
  const causes: Cause[] = []
  if (instancetype.nodeSelector && spec.nodeSelector) causes.push(clash(AT.child('nodeSelector')))
  if (instancetype.schedulerName && spec.schedulerName) causes.push(clash(AT.child('schedulerName')))
  return causes
}

/** Contract: VM-IT-003, 004. */
function cpuRequestConflicts({ domain: { resources } }: VmiSpec): Cause[] {
  const causes: Cause[] = []
  if (resources?.requests?.cpu !== undefined) causes.push(clash(DOMAIN.child('resources', 'requests', 'cpu')))
  if (resources?.limits?.cpu !== undefined) causes.push(clash(DOMAIN.child('resources', 'limits', 'cpu')))
  return causes
}

/** Contract: VM-IT-005 … 012. */
function cpuConflicts({ domain }: VmiSpec, { cpu: theirs }: InstancetypeSpec): Cause[] {
  const ours = domain.cpu ?? {}
  const at = DOMAIN.child('cpu')
  const causes: Cause[] = []
  for (const name of ['sockets', 'cores', 'threads'] as const)
    if (ours[name]) causes.push(clash(at.child(name)))
  if (ours.model && theirs?.model !== undefined) causes.push(clash(at.child('model')))
  if (ours.dedicatedCpuPlacement && theirs?.dedicatedCPUPlacement !== undefined) {
    // The contract's path has the spelling of the instance type.
    causes.push(clash(at.child('dedicatedCPUPlacement')))
  }
  if (ours.isolateEmulatorThread && theirs?.isolateEmulatorThread !== undefined) {
    causes.push(clash(at.child('isolateEmulatorThread')))
  }
  for (const name of ['numa', 'realtime'] as const)
    if (ours[name] && theirs?.[name]) causes.push(clash(at.child(name)))
  return causes
}

/** The first one alone. Contract: VM-IT-013 … 017. */
function memoryConflicts({ domain }: VmiSpec, { memory: theirs }: InstancetypeSpec): Cause[] {
  const { memory: ours, resources } = domain
  const at = DOMAIN.child('memory')
  if (ours?.guest !== undefined) return [clash(at.child('guest'))]
  if (ours?.hugepages && theirs?.hugepages) return [clash(at.child('hugepages'))]
  if (ours?.maxGuest !== undefined && theirs?.maxGuest !== undefined) return [clash(at.child('maxGuest'))]
  if (resources?.requests?.memory !== undefined)
    return [clash(DOMAIN.child('resources', 'requests', 'memory'))]
  if (resources?.limits?.memory !== undefined) return [clash(DOMAIN.child('resources', 'limits', 'memory'))]
  return []
}

/** Contract: VM-IT-018 … 020. */
function ioConflicts({ domain }: VmiSpec, instancetype: InstancetypeSpec): Cause[] {
  const threads = 'supplementalPoolThreadCount'
  const causes: Cause[] = []
  if (instancetype.ioThreads?.[threads] !== undefined && domain.ioThreads?.[threads] !== undefined) {
    causes.push(clash(DOMAIN.child('ioThreads', threads)))
  }
  for (const name of ['ioThreadsPolicy', 'launchSecurity'] as const) {
    if (instancetype[name] !== undefined && domain[name] !== undefined) causes.push(clash(DOMAIN.child(name)))
  }
  return causes
}

/** Contract: VM-IT-021, 022. */
function deviceConflicts({ domain }: VmiSpec, instancetype: InstancetypeSpec): Cause[] {
  const causes: Cause[] = []
  for (const name of ['gpus', 'hostDevices'] as const) {
    // A domain may leave its devices out although the types say otherwise.
    if (instancetype[name]?.length && domain.devices?.[name]?.length)
      causes.push(clash(DOMAIN.child('devices', name)))
  }
  return causes
}

/** Contract: VM-IT-023. */
function annotationConflicts({ metadata }: VmiTemplate, { annotations = {} }: InstancetypeSpec): Cause[] {
  const causes: Cause[] = []
  for (const [key, value] of Object.entries(annotations)) {
    const ours = metadata?.annotations?.[key]
    if (ours !== undefined && ours !== value) causes.push(clash(`annotations.${key}`))
  }
  return causes
}
