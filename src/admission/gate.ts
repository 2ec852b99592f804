import { badRequest } from '../lib/errors.ts'
import type { Cause } from '../lib/errors.ts'
import type { ReviewInput } from './review-input.ts'

/** A stage that refuses, with 400, what a feature gate does not let be created. */
export function needsGate(gate: string): (input: ReviewInput) => Cause[] {
  return ({ config }) => {
    if (config.isGateOn(gate)) return []
    throw badRequest(`this needs the feature gate ${gate}, which is off: turn it on in the KubeVirt object`)
  }
}
