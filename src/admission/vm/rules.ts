import type { Vm } from '../../kinds/kubevirt.ts'
import { addAll, invalidValue, requiredValue, unsupportedValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { FieldPath } from '../../lib/field-path.ts'
import { isSameJson } from '../../lib/json.ts'
import type { ReviewInput } from '../review-input.ts'
import { applyRules, SPEC_RULES } from '../spec/index.ts'
import { graceAnnotationsAreAbsent } from '../spec/grace.ts'
import { bindingIsStillThere, discontinuedBindingsAreUnused } from '../spec/interfaces.ts'
import { isMemoryHotpluggable } from '../vmi/hotplug-defaults.ts'
import { annotationsAreAllowed, labelsAreFree } from '../vmi/metadata.ts'
import { dataVolumeTemplatesAreSound } from './data-volume-templates.ts'
import { expansionOf, type VmFacts } from './instancetype.ts'

const SPEC = new FieldPath('spec')
const TEMPLATE = SPEC.child('template')
const RUN_STRATEGIES = ['Halted', 'Manual', 'Always', 'RerunOnFailure', 'Once']

/** A VM has a template; nothing else is asked before. Contract: VM-SPEC-001. */
export function templateIsGiven({ object }: ReviewInput<Vm>): Cause[] {
  if (object.metadata.deletionTimestamp || object.spec.template) return []
  return [requiredValue(TEMPLATE, 'a VM needs a template for its guest')]
}

/** Bindings that are no longer there are not asked for; the paths lack the template. Contract: VM-011. */
export function newBindingIsStillThere(input: ReviewInput<Vm, VmFacts>): Cause[] {
  if (input.object.metadata.deletionTimestamp) return []
  return bindingIsStillThere(expansionOf(input).spec.template.spec, SPEC)
}

/** The same of those whose gate is listed, in the template as it was given. Contract: VM-010. */
export function discontinuedBindingIsUnused({ object, config }: ReviewInput<Vm>): Cause[] {
  if (object.metadata.deletionTimestamp) return []
  return discontinuedBindingsAreUnused(object.spec.template.spec, config)
}

/** All that is asked of a VM's spec, with what will be completed in it. Contract: admission-vm.md, section 5. */
export function vmSpecIsSound(input: ReviewInput<Vm, VmFacts>): Cause[] {
  if (input.object.metadata.deletionTimestamp) return []
  return vmBlockIsSound(expansionOf(input).spec, SPEC, input)
}

/** All that is asked of a VM's spec that stands at `at`. Contract: VM-SPEC-002, 003, 004. */
export function vmBlockIsSound(
  spec: Vm['spec'],
  at: FieldPath,
  { config, isKubeVirt }: Pick<ReviewInput, 'config' | 'isKubeVirt'>,
): Cause[] {
  const template = at.child('template')
  const { metadata = {} } = spec.template
  const causes: Cause[] = []
  addAll(causes, labelsAreFree(metadata, template.child('metadata'), isKubeVirt))
  addAll(causes, annotationsAreAllowed(metadata, template.child('metadata'), config))
  addAll(causes, graceAnnotationsAreAbsent(metadata, spec.template.spec, template.child('metadata'), config))
  addAll(causes, applyRules(SPEC_RULES, spec.template.spec, template.child('spec'), config))
  addAll(causes, dataVolumeTemplatesAreSound(spec, at))
  addAll(causes, runStrategyIsOne(spec, at, config))
  if (config.isLiveUpdate) addAll(causes, growthIsPossible(spec, at))
  return causes
}

/** A VM says once, and in a known way, when it runs. Contract: VM-RUN-001 … 004. */
export function runStrategyIsOne(
  { running, runStrategy }: Vm['spec'],
  at: FieldPath,
  config: { isGateOn(gate: string): boolean },
): Cause[] {
  const field = at.child('running')
  const causes: Cause[] = []
  if (running !== undefined && runStrategy !== undefined) {
    causes.push(invalidValue(field, 'running and runStrategy exclude each other: leave out running'))
  }
  if (running === undefined && runStrategy === undefined) {
    causes.push(
      invalidValue(field, `say when the VM runs: set runStrategy to one of ${RUN_STRATEGIES.join(', ')}`),
    )
  }
  if (runStrategy === undefined) return causes
  if (runStrategy === 'WaitAsReceiver') {
    if (!config.isGateOn('DecentralizedLiveMigration')) {
      causes.push(
        invalidValue(
          at.child('runStrategy'),
          'WaitAsReceiver needs the feature gate DecentralizedLiveMigration',
        ),
      )
    }
  } else if (!RUN_STRATEGIES.includes(runStrategy)) {
    causes.push(
      invalidValue(at.child('runStrategy'), `"${runStrategy}" is none of ${RUN_STRATEGIES.join(', ')}`),
    )
  }
  return causes
}

/** What a guest may grow to can be reached. Contract: VM-LIVE-001, 002. */
function growthIsPossible({ template }: Vm['spec'], spec: FieldPath): Cause[] {
  const { cpu, memory } = template.spec.domain
  const at = spec.child('template', 'spec', 'domain')
  const { sockets = 0, maxSockets = 0 } = cpu ?? {}
  const causes: Cause[] = []
  if (maxSockets !== 0 && sockets > maxSockets) {
    causes.push(
      invalidValue(at.child('cpu', 'sockets'), `${sockets} sockets are more than maxSockets, ${maxSockets}`),
    )
  }
  if (memory?.maxGuest !== undefined && !isMemoryHotpluggable(template.spec, memory.maxGuest)) {
    causes.push(
      invalidValue(
        at.child('memory', 'guest'),
        'memory can be added to an amd64 guest of 1Gi and more in steps of 2Mi, without realtime, NUMA passthrough or launch security: mend that, or leave out maxGuest',
      ),
    )
  }
  return causes
}

/** Volumes of a VM's own DataVolumes lie in its namespace. Contract: VM-ST-002. */
export function dataVolumesAreInNamespace({ object, old, request }: ReviewInput<Vm>): Cause[] {
  const templates = object.spec.dataVolumeTemplates ?? []
  const isNew = request.operation === 'CREATE'
  if (!isNew && !old) {
    return [
      {
        reason: 'UnexpectedServerResponse',
        field: '',
        message: 'the VM as it was is missing from the review',
      },
    ]
  }
  const isSame = !isNew && (!old || isSameJson(templates, old.spec.dataVolumeTemplates ?? []))
  if (object.metadata.deletionTimestamp || isSame) return []
  const causes: Cause[] = []
  const expected = object.metadata.namespace || request.namespace
  for (const [position, { metadata }] of templates.entries()) {
    if (!metadata?.namespace || metadata.namespace === expected) continue
    causes.push(
      invalidValue(
        SPEC.child('dataVolumeTemplates').index(position),
        `must be in the namespace of the VM, ${expected}`,
      ),
    )
  }
  return causes
}

/**
 * While a snapshot is taken, volumes and the running state stay. Contract: VM-ST-004, 005; VM-ST-003 and VM-ST-006 are
 * VM-ST-001 and VM-STAT-005 before they can happen; CRASH-014.
 */
export function snapshotIsUndisturbed({ object, old }: ReviewInput<Vm>): Cause[] {
  if (!old || object.metadata.deletionTimestamp || !object.status?.snapshotInProgress) return []
  const busy = `while the snapshot ${object.status.snapshotInProgress} is taken`
  if (!isSameJson(object.spec.template.spec.volumes ?? [], old.spec.template?.spec.volumes ?? []))
    return [unsupportedValue(SPEC, `volumes cannot be changed ${busy}`)]
  if (!isSameRunningState(object.spec, old.spec))
    return [unsupportedValue(SPEC, `the running state cannot be changed ${busy}`)]
  return []
}

/** While a VM is restored, it runs no sooner and no later. Contract: VM-ST-007. */
export function restoreIsUndisturbed({ object, old }: ReviewInput<Vm>): Cause[] {
  const { restoreInProgress } = object.status ?? {}
  if (!old || object.metadata.deletionTimestamp || !restoreInProgress) return []
  if (isSameJson(object.spec, old.spec) || effectiveStrategy(object.spec) === effectiveStrategy(old.spec))
    return []
  return [
    unsupportedValue(SPEC, `the running state cannot be changed while ${restoreInProgress} is restored`),
  ]
}

/** What decides when a VM runs; empty where it says so twice. */
function effectiveStrategy({ running, runStrategy }: Vm['spec']): string {
  if (running !== undefined && runStrategy !== undefined) return ''
  if (running !== undefined) return running ? 'Always' : 'Halted'
  return runStrategy ?? 'Halted'
}

function isSameRunningState(now: Vm['spec'], before: Vm['spec']): boolean {
  if (now.running !== undefined && before.running !== undefined) return now.running === before.running
  if (now.runStrategy !== undefined && before.runStrategy !== undefined)
    return now.runStrategy === before.runStrategy
  return false
}

/** What an admitted VM is told. Contract: VM-OK-001, 002. */
export function warnOfRunning({ object }: ReviewInput<Vm>): string[] {
  return object.spec.running !== undefined ? ['spec.running is deprecated: use spec.runStrategy'] : []
}
