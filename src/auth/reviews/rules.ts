import { badRequest } from '../../lib/errors.ts'
import type { PolicyRule } from '../../kinds/core.ts'
import { rulesFor } from '../rbac/escalation.ts'
import type { RbacSource } from '../rbac/source.ts'
import type { ReviewKind } from '../review-kind.ts'
import { readReview, readText } from './body.ts'

/**
 * What may I do in a namespace? `kubectl auth can-i --list` asks.
 * Source: `authorization.k8s.io/v1` SelfSubjectRulesReview.
 */
export function selfSubjectRulesReview(source: RbacSource): ReviewKind {
  const who = { group: 'authorization.k8s.io', version: 'v1', kind: 'SelfSubjectRulesReview' }
  return {
    ...who,
    plural: 'selfsubjectrulesreviews',
    namespaced: false,
    verbs: ['create'],
    async run(body, { user }) {
      const { object, spec } = readReview(body, who)
      const namespace = readText(spec, 'namespace', 'spec', who)
      if (!namespace) throw badRequest('no namespace on request: set spec.namespace')
      source.assertCurrent()
      const rules = rulesFor(source, user, namespace)
      return {
        ...object,
        status: {
          resourceRules: rules.filter((rule) => !isForPaths(rule)),
          nonResourceRules: rules.filter(isForPaths),
          incomplete: false,
        },
      }
    },
  }
}

function isForPaths(rule: PolicyRule): boolean {
  return (rule.nonResourceURLs?.length ?? 0) > 0
}
