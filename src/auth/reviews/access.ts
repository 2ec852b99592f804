/**
 * May somebody do something?
 * Source: `authorization.k8s.io/v1`, and `pkg/apis/authorization/validation` of Kubernetes.
 */
import { invalidValue } from '../../lib/causes.ts'
import { isRecord, type JsonRecord } from '../../lib/json.ts'
import type { Attributes, Authorizer, User } from '../access.ts'
import type { ReviewKind } from '../review-kind.ts'
import { readExtra, readReview, readText, readTexts, required, wrong, type ReviewName } from './body.ts'

const GROUP = { group: 'authorization.k8s.io', version: 'v1', verbs: ['create'] }

/** May a user do something? For whoever may ask about others. */
export function subjectAccessReview(authorizer: Authorizer): ReviewKind {
  const who = { ...GROUP, kind: 'SubjectAccessReview' }
  return {
    ...who,
    plural: 'subjectaccessreviews',
    namespaced: false,
    async run(body, { signal }) {
      const { object, spec } = readReview(body, who)
      const attributes = readAttributes(spec, who)
      return answer(object, authorizer, readUser(spec, who), attributes, signal)
    },
  }
}

/** The same within one namespace, for whoever may ask there. */
export function localSubjectAccessReview(authorizer: Authorizer): ReviewKind {
  const who = { ...GROUP, kind: 'LocalSubjectAccessReview' }
  return {
    ...who,
    plural: 'localsubjectaccessreviews',
    namespaced: true,
    async run(body, { namespace, signal }) {
      const { object, spec } = readReview(body, who)
      const attributes = readAttributes(spec, who)
      if (attributes.kind === 'path') {
        throw wrong(who, invalidValue('spec.nonResourceAttributes', 'disallowed on this kind of request'))
      }
      if (attributes.namespace !== namespace) {
        throw wrong(who, invalidValue('spec.resourceAttributes.namespace', 'must match metadata.namespace'))
      }
      return answer(object, authorizer, readUser(spec, who), attributes, signal)
    },
  }
}

/** May I do something? */
export function selfSubjectAccessReview(authorizer: Authorizer): ReviewKind {
  const who = { ...GROUP, kind: 'SelfSubjectAccessReview' }
  return {
    ...who,
    plural: 'selfsubjectaccessreviews',
    namespaced: false,
    async run(body, { user, signal }) {
      const { object, spec } = readReview(body, who)
      return answer(object, authorizer, user, readAttributes(spec, who), signal)
    },
  }
}

async function answer(
  object: JsonRecord,
  authorizer: Authorizer,
  user: User,
  attributes: Attributes,
  signal: AbortSignal,
): Promise<unknown> {
  const { allowed, reason } = await authorizer.review(user, attributes, signal)
  return { ...object, status: { allowed, ...(reason && { reason }) } }
}

function readUser(spec: JsonRecord, who: ReviewName): User {
  const name = readText(spec, 'user', 'spec', who) ?? ''
  const groups = readTexts(spec, 'groups', 'spec', who)
  const uid = readText(spec, 'uid', 'spec', who)
  if (name === '' && groups.length === 0) {
    throw required(who, 'spec.user', 'at least one of user or group must be specified')
  }
  return { name, groups, ...(uid && { uid }), extra: readExtra(spec, 'spec', who) }
}

function readAttributes(spec: JsonRecord, who: ReviewName): Attributes {
  const { resourceAttributes: resource, nonResourceAttributes: path } = spec
  if (resource && path) {
    const message = 'cannot be specified in combination with resourceAttributes'
    throw wrong(who, invalidValue('spec.nonResourceAttributes', message))
  }
  if (isRecord(resource)) return readResource(resource, who)
  if (!isRecord(path)) {
    const message = 'exactly one of nonResourceAttributes or resourceAttributes must be specified'
    throw wrong(who, invalidValue('spec.resourceAttributes', message))
  }
  const text = (field: string) => readText(path, field, 'spec.nonResourceAttributes', who) ?? ''
  return { kind: 'path', verb: text('verb'), path: text('path') }
}

function readResource(from: JsonRecord, who: ReviewName): Attributes {
  const text = (field: string) => readText(from, field, 'spec.resourceAttributes', who) ?? ''
  const [subresource, namespace, name] = [text('subresource'), text('namespace'), text('name')]
  return {
    kind: 'resource',
    verb: text('verb'),
    group: text('group'),
    version: text('version'),
    resource: text('resource'),
    ...(subresource && { subresource }),
    ...(namespace && { namespace }),
    ...(name && { name }),
  }
}
