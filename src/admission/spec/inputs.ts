import type { VmiSpec } from '../../kinds/kubevirt.ts'
import { invalidValue, requiredValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { devicesOf, networksOf } from './rule.ts'

const PROBES = ['readinessProbe', 'livenessProbe'] as const

/** An input device is a tablet on a bus that exists. Contract: VMI-INPUT-001, 002. */
export function inputIsTablet(spec: VmiSpec, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  for (const [position, { bus = '', type }] of (devicesOf(spec).inputs ?? []).entries()) {
    const field = at.child('domain', 'devices', 'inputs').index(position)
    if (!['', 'virtio', 'usb'].includes(bus))
      causes.push(invalidValue(field.child('bus'), `"${bus}" is neither virtio nor usb`))
    if (type !== 'tablet')
      causes.push(invalidValue(field.child('type'), `"${type}" is not supported: use tablet`))
  }
  return causes
}

/** The policy for I/O threads is one that exists. Contract: VMI-IOT-001, 002. */
export function ioThreadsPolicyIsKnown({ domain }: VmiSpec, at: FieldPath): Cause[] {
  const { ioThreadsPolicy: policy, ioThreads } = domain
  if (policy === undefined) return []
  const causes: Cause[] = []
  if (!['shared', 'auto', 'supplementalPool'].includes(policy)) {
    causes.push(
      invalidValue(
        at.child('domain', 'ioThreadsPolicy'),
        `"${policy}" is none of shared, auto, supplementalPool`,
      ),
    )
  }
  if (policy === 'supplementalPool' && (ioThreads?.supplementalPoolThreadCount ?? 0) < 1) {
    causes.push(
      invalidValue(
        at.child('domain', 'ioThreads', 'count'),
        'supplementalPool needs supplementalPoolThreadCount',
      ),
    )
  }
  return causes
}

/** A probe looks in one way. Contract: VMI-PROBE-001, 002. */
export function probeHasOneHandler(spec: VmiSpec, at: FieldPath): Cause[] {
  const causes: Cause[] = []
  for (const name of PROBES) {
    const probe = spec[name]
    if (!probe) continue
    const { httpGet, tcpSocket, exec, guestAgentPing } = probe
    const count = [httpGet, tcpSocket, exec, guestAgentPing].filter(Boolean).length
    if (count > 1)
      causes.push(invalidValue(at.child(name), 'use one of httpGet, tcpSocket, exec, guestAgentPing'))
    if (count === 0)
      causes.push(requiredValue(at.child(name), 'say how: httpGet, tcpSocket, exec or guestAgentPing'))
  }
  return causes
}

/** A probe over the network needs the pod network. Contract: VMI-PROBE-003, 004. */
export function networkProbeHasPodNetwork(spec: VmiSpec, at: FieldPath): Cause[] {
  if (networksOf(spec).some(({ pod }) => pod)) return []
  const causes: Cause[] = []
  for (const name of PROBES) {
    for (const handler of ['httpGet', 'tcpSocket'] as const) {
      if (spec[name]?.[handler]) causes.push(invalidValue(at.child(name, handler), 'needs a pod network'))
    }
  }
  return causes
}
