/** What is done to replica sets of VMIs. Contract: admission-others.md, section 1. */
import type { VmiTemplate } from '../../kinds/kubevirt.ts'
import { addAll, requiredValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { LabelSelector } from '../../lib/selectors.ts'
import { FieldPath } from '../../lib/field-path.ts'
import { namedByGuest } from '../foreign.ts'
import type { SpecOf } from '../references.ts'
import type { KindAdmission, ReviewInput } from '../review-input.ts'
import { selectorFitsTemplate } from '../selector.ts'
import { graceAnnotationsAreAbsent } from '../spec/grace.ts'
import { applyRules, SPEC_RULES } from '../spec/index.ts'
import { discontinuedBindingsAreUnused } from '../spec/interfaces.ts'

type ReplicaSet = SpecOf<{ template?: VmiTemplate; selector?: LabelSelector }>

const TEMPLATE = new FieldPath('spec.template')

/** A replica set makes sound guests, and finds them again. Contract: RS-001 … 005. */
function replicaSetIsSound({ object, config, request }: ReviewInput<ReplicaSet>): Cause[] {
  const { template, selector } = object.spec
  if (!template) {
    return [requiredValue(TEMPLATE, 'a replica set needs a template for its guests')]
  }
  const causes: Cause[] = []
  addAll(
    causes,
    graceAnnotationsAreAbsent(template.metadata ?? {}, template.spec, TEMPLATE.child('metadata'), config),
  )
  addAll(causes, applyRules(SPEC_RULES, template.spec, TEMPLATE.child('spec'), config))
  addAll(causes, selectorFitsTemplate(selector, template.metadata?.labels))
  // Contract: RS-006.
  if (request.operation === 'CREATE') addAll(causes, discontinuedBindingsAreUnused(template.spec, config))
  return causes
}

export const replicaSetAdmission: KindAdmission<ReplicaSet> = {
  names: ({ spec }, namespace) => namedByGuest(spec?.template?.spec, namespace, 'spec.template.spec'),
  mutators: [],
  stages: [replicaSetIsSound],
}
