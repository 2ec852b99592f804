import { APISERVER_FAMILIES } from './apiserver.ts'
import { CONTROLLER_FAMILIES } from './controller.ts'
import type { HistogramFamily } from './family.ts'
import { OWN_FAMILIES } from './own.ts'
import { PROCESS_FAMILIES } from './process.ts'
import { SHARED_FAMILIES } from './shared.ts'
import { WORKER_FAMILIES } from './worker.ts'

/** Every family there is. Nothing else can be told. */
export const FAMILIES = {
  ...APISERVER_FAMILIES,
  ...CONTROLLER_FAMILIES,
  ...WORKER_FAMILIES,
  ...SHARED_FAMILIES,
  ...PROCESS_FAMILIES,
  ...OWN_FAMILIES,
}

export type FamilyName = keyof typeof FAMILIES
/** Names of families that are histograms. */
export type HistogramName = {
  [K in FamilyName]: (typeof FAMILIES)[K] extends HistogramFamily ? K : never
}[FamilyName]
