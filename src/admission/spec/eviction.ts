import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { devicesOf, type RuleConfig } from './rule.ts'

const STRATEGIES = ['None', 'LiveMigrate', 'LiveMigrateIfPossible', 'External']

/** What happens when a node is emptied is one of the known ways. Contract: VMI-EVICT-001; CRASH-004. */
export function evictionStrategyIsKnown(spec: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  const strategy = spec.evictionStrategy ?? config.evictionStrategy
  return !STRATEGIES.includes(strategy)
    ? [invalidValue(at.child('evictionStrategy'), `"${strategy}" is none of ${STRATEGIES.join(', ')}`)]
    : []
}

/** Devices of the host are handed on only where that is allowed. Contract: VMI-HD-001. */
export function hostDevicesAreAllowed(spec: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  return devicesOf(spec).hostDevices && !config.isGateOn('HostDevices')
    ? [
        invalidValue(
          at.child('HostDevices'),
          'the feature gate HostDevices is off: turn it on in the KubeVirt object',
        ),
      ]
    : []
}
