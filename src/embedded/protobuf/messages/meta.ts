/** Source: `generated.proto` and the struct tags of k8s.io/apimachinery/pkg/apis/meta/v1. */
import {
  FLAG,
  INTEGER,
  JSON_VALUE,
  kept,
  list,
  map,
  message,
  TEXT,
  TIME,
  type Fields,
  type Shape,
} from '../shapes.ts'

const OWNER_REFERENCE = message({
  1: ['kind', kept(TEXT)],
  3: ['name', kept(TEXT)],
  4: ['uid', kept(TEXT)],
  5: ['apiVersion', kept(TEXT)],
  6: ['controller', kept(FLAG)],
  7: ['blockOwnerDeletion', kept(FLAG)],
})

const MANAGED_FIELDS_ENTRY = message({
  1: ['manager', TEXT],
  2: ['operation', TEXT],
  3: ['apiVersion', TEXT],
  4: ['time', TIME],
  6: ['fieldsType', TEXT],
  7: ['fieldsV1', JSON_VALUE],
  8: ['subresource', TEXT],
})

const OBJECT_META = message({
  1: ['name', TEXT],
  2: ['generateName', TEXT],
  3: ['namespace', TEXT],
  4: ['selfLink', TEXT],
  5: ['uid', TEXT],
  6: ['resourceVersion', TEXT],
  7: ['generation', INTEGER],
  8: ['creationTimestamp', TIME],
  9: ['deletionTimestamp', TIME],
  10: ['deletionGracePeriodSeconds', kept(INTEGER)],
  11: ['labels', map(TEXT)],
  12: ['annotations', map(TEXT)],
  13: ['ownerReferences', list(OWNER_REFERENCE)],
  14: ['finalizers', list(TEXT)],
  17: ['managedFields', list(MANAGED_FIELDS_ENTRY)],
})

/** Where every object has its metadata. */
export const METADATA = { 1: ['metadata', OBJECT_META] } as const satisfies Fields

/** An expression of a selector; those of fields and of labels are written alike. */
export const SELECTOR_REQUIREMENT = message({
  1: ['key', kept(TEXT)],
  2: ['operator', kept(TEXT)],
  3: ['values', list(TEXT)],
})

export const LABEL_SELECTOR = message({
  1: ['matchLabels', map(TEXT)],
  2: ['matchExpressions', list(SELECTOR_REQUIREMENT)],
})

/** A condition of a Namespace or of a volume claim; `others` are fields between `status` and `reason`. */
export function condition(others: Fields): Shape {
  return message({
    1: ['type', kept(TEXT)],
    2: ['status', kept(TEXT)],
    ...others,
    5: ['reason', TEXT],
    6: ['message', TEXT],
  })
}

const PRECONDITIONS = message({
  1: ['uid', kept(TEXT)],
  2: ['resourceVersion', kept(TEXT)],
})

export const DELETE_OPTIONS: Fields = {
  1: ['gracePeriodSeconds', kept(INTEGER)],
  2: ['preconditions', PRECONDITIONS],
  3: ['orphanDependents', kept(FLAG)],
  4: ['propagationPolicy', kept(TEXT)],
  5: ['dryRun', list(TEXT)],
  6: ['ignoreStoreReadErrorWithClusterBreakingPotential', kept(FLAG)],
}
