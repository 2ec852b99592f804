/** Source: `generated.proto` and the struct tags of k8s.io/api/core/v1. */
import {
  BYTES,
  FLAG,
  INTEGER,
  kept,
  list,
  map,
  message,
  MICRO_TIME,
  QUANTITY,
  TEXT,
  TIME,
  type Fields,
} from '../shapes.ts'
import { condition, LABEL_SELECTOR, METADATA } from './meta.ts'

export const NAMESPACE: Fields = {
  ...METADATA,
  2: ['spec', message({ 1: ['finalizers', list(TEXT)] })],
  3: [
    'status',
    message({
      1: ['phase', TEXT],
      2: ['conditions', list(condition({ 4: ['lastTransitionTime', TIME] }))],
    }),
  ],
}

export const SECRET: Fields = {
  ...METADATA,
  2: ['data', map(BYTES)],
  3: ['type', TEXT],
  4: ['stringData', map(TEXT)],
  5: ['immutable', kept(FLAG)],
}

export const CONFIG_MAP: Fields = {
  ...METADATA,
  2: ['data', map(TEXT)],
  3: ['binaryData', map(BYTES)],
  4: ['immutable', kept(FLAG)],
}

const OBJECT_REFERENCE = message({
  1: ['kind', TEXT],
  2: ['namespace', TEXT],
  3: ['name', TEXT],
  4: ['uid', TEXT],
  5: ['apiVersion', TEXT],
  6: ['resourceVersion', TEXT],
  7: ['fieldPath', TEXT],
})

export const EVENT: Fields = {
  ...METADATA,
  2: ['involvedObject', OBJECT_REFERENCE],
  3: ['reason', TEXT],
  4: ['message', TEXT],
  5: ['source', message({ 1: ['component', TEXT], 2: ['host', TEXT] })],
  6: ['firstTimestamp', TIME],
  7: ['lastTimestamp', TIME],
  8: ['count', INTEGER],
  9: ['type', TEXT],
  10: ['eventTime', MICRO_TIME],
  11: ['series', message({ 1: ['count', INTEGER], 2: ['lastObservedTime', MICRO_TIME] })],
  12: ['action', TEXT],
  13: ['related', OBJECT_REFERENCE],
  14: ['reportingComponent', kept(TEXT)],
  15: ['reportingInstance', kept(TEXT)],
}

export const SERVICE_ACCOUNT: Fields = {
  ...METADATA,
  2: ['secrets', list(OBJECT_REFERENCE)],
  3: ['imagePullSecrets', list(message({ 1: ['name', TEXT] }))],
  4: ['automountServiceAccountToken', kept(FLAG)],
}

const SCOPE_REQUIREMENT = message({
  1: ['scopeName', kept(TEXT)],
  2: ['operator', kept(TEXT)],
  3: ['values', list(TEXT)],
})

export const RESOURCE_QUOTA: Fields = {
  ...METADATA,
  2: [
    'spec',
    message({
      1: ['hard', map(QUANTITY)],
      2: ['scopes', list(TEXT)],
      3: ['scopeSelector', message({ 1: ['matchExpressions', list(SCOPE_REQUIREMENT)] })],
    }),
  ],
  3: ['status', message({ 1: ['hard', map(QUANTITY)], 2: ['used', map(QUANTITY)] })],
}

const LIMIT_RANGE_ITEM = message({
  1: ['type', kept(TEXT)],
  2: ['max', map(QUANTITY)],
  3: ['min', map(QUANTITY)],
  4: ['default', map(QUANTITY)],
  5: ['defaultRequest', map(QUANTITY)],
  6: ['maxLimitRequestRatio', map(QUANTITY)],
})

export const LIMIT_RANGE: Fields = {
  ...METADATA,
  2: ['spec', message({ 1: ['limits', list(LIMIT_RANGE_ITEM)] })],
}

const CLAIM_SPEC = message({
  1: ['accessModes', list(TEXT)],
  2: ['resources', message({ 1: ['limits', map(QUANTITY)], 2: ['requests', map(QUANTITY)] })],
  3: ['volumeName', TEXT],
  4: ['selector', LABEL_SELECTOR],
  5: ['storageClassName', kept(TEXT)],
  6: ['volumeMode', kept(TEXT)],
  7: [
    'dataSource',
    message({ 1: ['apiGroup', kept(TEXT)], 2: ['kind', kept(TEXT)], 3: ['name', kept(TEXT)] }),
  ],
  8: [
    'dataSourceRef',
    message({
      1: ['apiGroup', kept(TEXT)],
      2: ['kind', kept(TEXT)],
      3: ['name', kept(TEXT)],
      4: ['namespace', kept(TEXT)],
    }),
  ],
  9: ['volumeAttributesClassName', kept(TEXT)],
})

const CLAIM_STATUS = message({
  1: ['phase', TEXT],
  2: ['accessModes', list(TEXT)],
  3: ['capacity', map(QUANTITY)],
  4: ['conditions', list(condition({ 3: ['lastProbeTime', TIME], 4: ['lastTransitionTime', TIME] }))],
  5: ['allocatedResources', map(QUANTITY)],
  7: ['allocatedResourceStatuses', map(TEXT)],
  8: ['currentVolumeAttributesClassName', kept(TEXT)],
  9: [
    'modifyVolumeStatus',
    message({ 1: ['targetVolumeAttributesClassName', TEXT], 2: ['status', kept(TEXT)] }),
  ],
})

export const PERSISTENT_VOLUME_CLAIM: Fields = {
  ...METADATA,
  2: ['spec', CLAIM_SPEC],
  3: ['status', CLAIM_STATUS],
}
