/** What a template may not say because its instance type says it. Contract: admission-vm.md, 2.3. */
import type { InstancetypeSpec } from '../kinds/instancetype.ts'
import type { VmiSpec, VmiTemplate } from '../kinds/kubevirt.ts'
import { invalidValue } from '../lib/causes.ts'
import type { Cause } from '../lib/errors.ts'
import { FieldPath } from '../lib/field-path.ts'

const AT = new FieldPath('spec.template.spec')
const DOMAIN = AT.child('domain')

/** What the template and the instance type both say, in the order clients see it. Contract: VM-IT-001 … 023. */
export function* findConflicts(template: VmiTemplate, instancetype: InstancetypeSpec): Iterable<Cause> {
  const { spec } = template
  yield* schedulingConflicts(spec, instancetype)
  yield* cpuRequestConflicts(spec)
  yield* cpuConflicts(spec, instancetype)
  yield* memoryConflicts(spec, instancetype)
  yield* ioConflicts(spec, instancetype)
  yield* deviceConflicts(spec, instancetype)
  yield* annotationConflicts(template, instancetype)
}

function clash(field: FieldPath | string): Cause {
  return invalidValue(field, `the instance type sets this: remove ${String(field)}, or use no instance type`)
}

/** Contract: VM-IT-001, 002. */
function* schedulingConflicts(spec: VmiSpec, instancetype: InstancetypeSpec): Iterable<Cause> {
  if (instancetype.nodeSelector && spec.nodeSelector) yield clash(AT.child('nodeSelector'))
  if (instancetype.schedulerName && spec.schedulerName) yield clash(AT.child('schedulerName'))
}

/** Contract: VM-IT-003, 004. */
function* cpuRequestConflicts({ domain: { resources } }: VmiSpec): Iterable<Cause> {
  if (resources?.requests?.cpu !== undefined) yield clash(DOMAIN.child('resources', 'requests', 'cpu'))
  if (resources?.limits?.cpu !== undefined) yield clash(DOMAIN.child('resources', 'limits', 'cpu'))
}

/** Contract: VM-IT-005 … 012. */
function* cpuConflicts({ domain }: VmiSpec, { cpu: theirs }: InstancetypeSpec): Iterable<Cause> {
  const ours = domain.cpu ?? {}
  const at = DOMAIN.child('cpu')
  for (const name of ['sockets', 'cores', 'threads'] as const) if (ours[name]) yield clash(at.child(name))
  if (ours.model && theirs?.model !== undefined) yield clash(at.child('model'))
  if (ours.dedicatedCpuPlacement && theirs?.dedicatedCPUPlacement !== undefined) {
    // The contract's path has the spelling of the instance type.
    yield clash(at.child('dedicatedCPUPlacement'))
  }
  if (ours.isolateEmulatorThread && theirs?.isolateEmulatorThread !== undefined) {
    yield clash(at.child('isolateEmulatorThread'))
  }
  for (const name of ['numa', 'realtime'] as const)
    if (ours[name] && theirs?.[name]) yield clash(at.child(name))
}

/** The first one alone. Contract: VM-IT-013 … 017. */
function* memoryConflicts({ domain }: VmiSpec, { memory: theirs }: InstancetypeSpec): Iterable<Cause> {
  const { memory: ours, resources } = domain
  const at = DOMAIN.child('memory')
  if (ours?.guest !== undefined) yield clash(at.child('guest'))
  else if (ours?.hugepages && theirs?.hugepages) yield clash(at.child('hugepages'))
  else if (ours?.maxGuest !== undefined && theirs?.maxGuest !== undefined) yield clash(at.child('maxGuest'))
  else if (resources?.requests?.memory !== undefined)
    yield clash(DOMAIN.child('resources', 'requests', 'memory'))
  else if (resources?.limits?.memory !== undefined) yield clash(DOMAIN.child('resources', 'limits', 'memory'))
}

/** Contract: VM-IT-018 … 020. */
function* ioConflicts({ domain }: VmiSpec, instancetype: InstancetypeSpec): Iterable<Cause> {
  const threads = 'supplementalPoolThreadCount'
  if (instancetype.ioThreads?.[threads] !== undefined && domain.ioThreads?.[threads] !== undefined) {
    yield clash(DOMAIN.child('ioThreads', threads))
  }
  for (const name of ['ioThreadsPolicy', 'launchSecurity'] as const) {
    if (instancetype[name] !== undefined && domain[name] !== undefined) yield clash(DOMAIN.child(name))
  }
}

/** Contract: VM-IT-021, 022. */
function* deviceConflicts({ domain }: VmiSpec, instancetype: InstancetypeSpec): Iterable<Cause> {
  for (const name of ['gpus', 'hostDevices'] as const) {
    // A domain may leave its devices out although the types say otherwise.
    if (instancetype[name]?.length && domain.devices?.[name]?.length)
      yield clash(DOMAIN.child('devices', name))
  }
}

/** Contract: VM-IT-023. */
function* annotationConflicts(
  { metadata }: VmiTemplate,
  { annotations = {} }: InstancetypeSpec,
): Iterable<Cause> {
  for (const [key, value] of Object.entries(annotations)) {
    const ours = metadata?.annotations?.[key]
    if (ours !== undefined && ours !== value) yield clash(`annotations.${key}`)
  }
}
