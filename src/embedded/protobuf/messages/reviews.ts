/** Source: `generated.proto` and the struct tags of k8s.io/api/authorization/v1 and k8s.io/api/authentication/v1. */
import { FLAG, INTEGER, kept, list, map, message, TEXT, TEXTS, TIME, type Fields } from '../shapes.ts'
import { METADATA, SELECTOR_REQUIREMENT } from './meta.ts'

const SELECTOR_ATTRIBUTES = message({
  1: ['rawSelector', TEXT],
  2: ['requirements', list(SELECTOR_REQUIREMENT)],
})

const RESOURCE_ATTRIBUTES = message({
  1: ['namespace', TEXT],
  2: ['verb', TEXT],
  3: ['group', TEXT],
  4: ['version', TEXT],
  5: ['resource', TEXT],
  6: ['subresource', TEXT],
  7: ['name', TEXT],
  8: ['fieldSelector', SELECTOR_ATTRIBUTES],
  9: ['labelSelector', SELECTOR_ATTRIBUTES],
})

const SELF_ACCESS: Fields = {
  1: ['resourceAttributes', RESOURCE_ATTRIBUTES],
  2: ['nonResourceAttributes', message({ 1: ['path', TEXT], 2: ['verb', TEXT] })],
}

const ACCESS: Fields = {
  ...SELF_ACCESS,
  3: ['user', TEXT],
  4: ['groups', list(TEXT)],
  5: ['extra', map(TEXTS)],
  6: ['uid', TEXT],
}

const ACCESS_STATUS = message({
  1: ['allowed', kept(FLAG)],
  2: ['reason', TEXT],
  3: ['evaluationError', TEXT],
  4: ['denied', FLAG],
})

/** SubjectAccessReview and LocalSubjectAccessReview. */
export const SUBJECT_ACCESS_REVIEW: Fields = {
  ...METADATA,
  2: ['spec', message(ACCESS)],
  3: ['status', ACCESS_STATUS],
}

export const SELF_SUBJECT_ACCESS_REVIEW: Fields = {
  ...METADATA,
  2: ['spec', message(SELF_ACCESS)],
  3: ['status', ACCESS_STATUS],
}

const RESOURCE_RULE = message({
  1: ['verbs', list(TEXT)],
  2: ['apiGroups', list(TEXT)],
  3: ['resources', list(TEXT)],
  4: ['resourceNames', list(TEXT)],
})

export const SELF_SUBJECT_RULES_REVIEW: Fields = {
  ...METADATA,
  2: ['spec', message({ 1: ['namespace', TEXT] })],
  3: [
    'status',
    message({
      1: ['resourceRules', list(RESOURCE_RULE)],
      2: [
        'nonResourceRules',
        list(message({ 1: ['verbs', list(TEXT)], 2: ['nonResourceURLs', list(TEXT)] })),
      ],
      3: ['incomplete', kept(FLAG)],
      4: ['evaluationError', TEXT],
    }),
  ],
}

const USER_INFO = message({
  1: ['username', TEXT],
  2: ['uid', TEXT],
  3: ['groups', list(TEXT)],
  4: ['extra', map(TEXTS)],
})

export const SELF_SUBJECT_REVIEW: Fields = {
  ...METADATA,
  2: ['status', message({ 1: ['userInfo', USER_INFO] })],
}

export const TOKEN_REVIEW: Fields = {
  ...METADATA,
  2: ['spec', message({ 1: ['token', TEXT], 2: ['audiences', list(TEXT)] })],
  3: [
    'status',
    message({
      1: ['authenticated', FLAG],
      2: ['user', USER_INFO],
      3: ['error', TEXT],
      4: ['audiences', list(TEXT)],
    }),
  ],
}

const BOUND_OBJECT_REFERENCE = message({
  1: ['kind', TEXT],
  2: ['apiVersion', TEXT],
  3: ['name', TEXT],
  4: ['uid', TEXT],
})

export const TOKEN_REQUEST: Fields = {
  ...METADATA,
  2: [
    'spec',
    message({
      1: ['audiences', list(TEXT)],
      3: ['boundObjectRef', BOUND_OBJECT_REFERENCE],
      4: ['expirationSeconds', kept(INTEGER)],
    }),
  ],
  3: ['status', message({ 1: ['token', kept(TEXT)], 2: ['expirationTimestamp', TIME] })],
}
