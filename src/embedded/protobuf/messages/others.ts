/** Source: `generated.proto` and the struct tags of k8s.io/api: apps/v1, coordination/v1 and scheduling/v1. */
import { FLAG, INTEGER, JSON_VALUE, kept, message, MICRO_TIME, TEXT, type Fields } from '../shapes.ts'
import { METADATA } from './meta.ts'

export const CONTROLLER_REVISION: Fields = {
  ...METADATA,
  2: ['data', JSON_VALUE],
  3: ['revision', kept(INTEGER)],
}

export const LEASE: Fields = {
  ...METADATA,
  2: [
    'spec',
    message({
      1: ['holderIdentity', kept(TEXT)],
      2: ['leaseDurationSeconds', kept(INTEGER)],
      3: ['acquireTime', MICRO_TIME],
      4: ['renewTime', MICRO_TIME],
      5: ['leaseTransitions', kept(INTEGER)],
      6: ['strategy', kept(TEXT)],
      7: ['preferredHolder', kept(TEXT)],
    }),
  ],
}

export const PRIORITY_CLASS: Fields = {
  ...METADATA,
  2: ['value', kept(INTEGER)],
  3: ['globalDefault', FLAG],
  4: ['description', TEXT],
  5: ['preemptionPolicy', kept(TEXT)],
}
