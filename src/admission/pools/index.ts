/** What is done to pools of VMs. Contract: admission-others.md, section 2. */
import type { VmSpec } from '../../kinds/kubevirt.ts'
import { addAll, invalidValue, requiredValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { LabelSelector } from '../../lib/selectors.ts'
import { FieldPath } from '../../lib/field-path.ts'
import { isSameJson } from '../../lib/json.ts'
import { namedByVm } from '../foreign.ts'
import type { SpecOf } from '../references.ts'
import type { KindAdmission, ReviewInput } from '../review-input.ts'
import { selectorFitsTemplate } from '../selector.ts'
import { discontinuedBindingsAreUnused } from '../spec/interfaces.ts'
import { vmBlockIsSound } from '../vm/rules.ts'

type Strategy = Partial<Record<'unmanaged' | 'opportunistic' | 'proactive', object>>

interface PoolSpec {
  selector?: LabelSelector
  virtualMachineTemplate?: { metadata?: { labels?: Record<string, string> }; spec?: VmSpec }
  maxUnavailable?: number | string
  updateStrategy?: Strategy
  scaleInStrategy?: Strategy
}
type Pool = SpecOf<PoolSpec>

const SPEC = new FieldPath('spec')
const TEMPLATE = SPEC.child('virtualMachineTemplate')

/** A pool makes sound VMs, and finds them again. Contract: POOL-001 … 013; CRASH-005. */
function poolIsSound(input: ReviewInput<Pool>): Cause[] {
  const { spec } = input.object
  const { virtualMachineTemplate: template, selector } = spec
  if (!template) {
    return [requiredValue(SPEC.child('template'), 'a pool needs a virtualMachineTemplate for its VMs')]
  }
  const causes: Cause[] = []
  addAll(causes, templateIsSound(input, template.spec))
  addAll(causes, selectorFitsTemplate(selector, template.metadata?.labels))
  addAll(causes, unavailableIsShare(spec.maxUnavailable))
  addAll(causes, strategyIsOne(spec.updateStrategy, SPEC.child('updateStrategy')))
  addAll(causes, strategyIsOne(spec.scaleInStrategy, SPEC.child('scaleInStrategy')))
  const isUpdate = input.request.operation === 'UPDATE'
  // Contract: POOL-011, POOL-012.
  if (isUpdate && !input.old) {
    causes.push({
      reason: 'UnexpectedServerResponse',
      field: '',
      message: 'the pool as it was is missing from the review',
    })
  }
  if (isUpdate && !isSameJson(selector ?? {}, input.old?.spec?.selector ?? {})) {
    causes.push(
      invalidValue(SPEC.child('selector'), 'the selector of a pool cannot be changed: create another pool'),
    )
  }
  const guest = template.spec?.template?.spec
  if (guest && input.request.operation === 'CREATE')
    addAll(causes, discontinuedBindingsAreUnused(guest, input.config))
  return causes
}

function templateIsSound({ config, isKubeVirt }: ReviewInput<Pool>, spec: VmSpec | undefined): Cause[] {
  const at = TEMPLATE.child('spec')
  const causes: Cause[] = []
  if (spec?.template) addAll(causes, vmBlockIsSound(spec, at, { config, isKubeVirt }))
  else causes.push(requiredValue(at.child('template'), 'a VM needs a template for its guest'))
  return causes
}

/** Contract: POOL-005 … 008. */
function unavailableIsShare(value: number | string | undefined): Cause[] {
  const field = SPEC.child('maxUnavailable')
  if (value === undefined) return []
  if (typeof value === 'number')
    return value > 0 ? [] : [invalidValue(field, `${value} is too few: at least 1 may be unavailable`)]
  const percent = /^([+-]?\d+)%$/.exec(value)?.[1]
  const isShare = percent !== undefined && Number(percent) > 0 && Number(percent) <= 100
  return isShare ? [] : [invalidValue(field, `"${value}" is no share: write a number, or 1% to 100%`)]
}

/** Contract: POOL-009, POOL-010. */
function strategyIsOne(strategy: Strategy | undefined, field: FieldPath): Cause[] {
  const { unmanaged, opportunistic, proactive } = strategy ?? {}
  const count = [unmanaged, opportunistic, proactive].filter(Boolean).length
  return count > 1 ? [invalidValue(field, 'choose one of unmanaged, opportunistic and proactive')] : []
}

export const poolAdmission: KindAdmission<Pool> = {
  names: ({ spec }, namespace) =>
    namedByVm(spec?.virtualMachineTemplate?.spec, namespace, 'spec.virtualMachineTemplate.spec'),
  mutators: [],
  stages: [poolIsSound],
}
