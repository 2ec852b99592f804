/** What is done to pools of VMs. Contract: admission-others.md, section 2. */
import type { VmSpec } from '../../kinds/kubevirt.ts'
import { invalidValue, requiredValue } from '../../lib/causes.ts'
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
function* poolIsSound(input: ReviewInput<Pool>): Iterable<Cause> {
  const { spec } = input.object
  const { virtualMachineTemplate: template, selector } = spec
  if (!template) {
    yield requiredValue(SPEC.child('template'), 'a pool needs a virtualMachineTemplate for its VMs')
    return
  }
  yield* templateIsSound(input, template.spec)
  yield* selectorFitsTemplate(selector, template.metadata?.labels)
  yield* unavailableIsShare(spec.maxUnavailable)
  yield* strategyIsOne(spec.updateStrategy, SPEC.child('updateStrategy'))
  yield* strategyIsOne(spec.scaleInStrategy, SPEC.child('scaleInStrategy'))
  const isUpdate = input.request.operation === 'UPDATE'
  // Contract: POOL-011, POOL-012.
  if (isUpdate && !input.old) {
    yield {
      reason: 'UnexpectedServerResponse',
      field: '',
      message: 'the pool as it was is missing from the review',
    }
  }
  if (isUpdate && !isSameJson(selector ?? {}, input.old?.spec?.selector ?? {})) {
    yield invalidValue(
      SPEC.child('selector'),
      'the selector of a pool cannot be changed: create another pool',
    )
  }
  const guest = template.spec?.template?.spec
  if (guest && input.request.operation === 'CREATE') yield* discontinuedBindingsAreUnused(guest, input.config)
}

function* templateIsSound(
  { config, isKubeVirt }: ReviewInput<Pool>,
  spec: VmSpec | undefined,
): Iterable<Cause> {
  const at = TEMPLATE.child('spec')
  if (spec?.template) yield* vmBlockIsSound(spec, at, { config, isKubeVirt })
  else yield requiredValue(at.child('template'), 'a VM needs a template for its guest')
}

/** Contract: POOL-005 … 008. */
function* unavailableIsShare(value: number | string | undefined): Iterable<Cause> {
  const field = SPEC.child('maxUnavailable')
  if (value === undefined) return
  if (typeof value === 'number') {
    if (value <= 0) yield invalidValue(field, `${value} is too few: at least 1 may be unavailable`)
    return
  }
  const percent = /^([+-]?\d+)%$/.exec(value)?.[1]
  const isShare = percent !== undefined && Number(percent) > 0 && Number(percent) <= 100
  if (!isShare) yield invalidValue(field, `"${value}" is no share: write a number, or 1% to 100%`)
}

/** Contract: POOL-009, POOL-010. */
function* strategyIsOne(strategy: Strategy | undefined, field: FieldPath): Iterable<Cause> {
  const { unmanaged, opportunistic, proactive } = strategy ?? {}
  const count = [unmanaged, opportunistic, proactive].filter(Boolean).length
  if (count > 1) yield invalidValue(field, 'choose one of unmanaged, opportunistic and proactive')
}

export const poolAdmission: KindAdmission<Pool> = {
  names: ({ spec }, namespace) =>
    namedByVm(spec?.virtualMachineTemplate?.spec, namespace, 'spec.virtualMachineTemplate.spec'),
  mutators: [],
  stages: [poolIsSound],
}
