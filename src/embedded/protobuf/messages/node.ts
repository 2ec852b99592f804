/** Source: `generated.proto` and the struct tags of k8s.io/api/core/v1. */
import { FLAG, INTEGER, kept, list, map, message, QUANTITY, TEXT, TIME, type Fields } from '../shapes.ts'
import { condition, METADATA } from './meta.ts'

const TAINT = message({
  1: ['key', kept(TEXT)],
  2: ['value', TEXT],
  3: ['effect', kept(TEXT)],
  4: ['timeAdded', TIME],
})

const CONFIG_SOURCE = message({
  2: [
    'configMap',
    message({
      1: ['namespace', kept(TEXT)],
      2: ['name', kept(TEXT)],
      3: ['uid', TEXT],
      4: ['resourceVersion', TEXT],
      5: ['kubeletConfigKey', kept(TEXT)],
    }),
  ],
})

const SPEC = message({
  1: ['podCIDR', TEXT],
  2: ['externalID', TEXT],
  3: ['providerID', TEXT],
  4: ['unschedulable', FLAG],
  5: ['taints', list(TAINT)],
  6: ['configSource', CONFIG_SOURCE],
  7: ['podCIDRs', list(TEXT)],
})

const NODE_INFO = message({
  1: ['machineID', kept(TEXT)],
  2: ['systemUUID', kept(TEXT)],
  3: ['bootID', kept(TEXT)],
  4: ['kernelVersion', kept(TEXT)],
  5: ['osImage', kept(TEXT)],
  6: ['containerRuntimeVersion', kept(TEXT)],
  7: ['kubeletVersion', kept(TEXT)],
  8: ['kubeProxyVersion', kept(TEXT)],
  9: ['operatingSystem', kept(TEXT)],
  10: ['architecture', kept(TEXT)],
  11: ['swap', message({ 1: ['capacity', kept(INTEGER)] })],
})

const CONFIG_STATUS = message({
  1: ['assigned', CONFIG_SOURCE],
  2: ['active', CONFIG_SOURCE],
  3: ['lastKnownGood', CONFIG_SOURCE],
  4: ['error', TEXT],
})

const RUNTIME_HANDLER = message({
  1: ['name', kept(TEXT)],
  2: ['features', message({ 1: ['recursiveReadOnlyMounts', kept(FLAG)], 2: ['userNamespaces', kept(FLAG)] })],
})

const STATUS = message({
  1: ['capacity', map(QUANTITY)],
  2: ['allocatable', map(QUANTITY)],
  3: ['phase', TEXT],
  4: ['conditions', list(condition({ 3: ['lastHeartbeatTime', TIME], 4: ['lastTransitionTime', TIME] }))],
  5: ['addresses', list(message({ 1: ['type', kept(TEXT)], 2: ['address', kept(TEXT)] }))],
  6: ['daemonEndpoints', message({ 1: ['kubeletEndpoint', message({ 1: ['Port', kept(INTEGER)] })] })],
  7: ['nodeInfo', NODE_INFO],
  8: ['images', list(message({ 1: ['names', list(TEXT)], 2: ['sizeBytes', INTEGER] }))],
  9: ['volumesInUse', list(TEXT)],
  10: ['volumesAttached', list(message({ 1: ['name', kept(TEXT)], 2: ['devicePath', kept(TEXT)] }))],
  11: ['config', CONFIG_STATUS],
  12: ['runtimeHandlers', list(RUNTIME_HANDLER)],
  13: ['features', message({ 1: ['supplementalGroupsPolicy', kept(FLAG)] })],
  14: ['declaredFeatures', list(TEXT)],
})

export const NODE: Fields = { ...METADATA, 2: ['spec', SPEC], 3: ['status', STATUS] }
