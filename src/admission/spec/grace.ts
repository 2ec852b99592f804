import type { VmiSpec, VmiTemplate } from '../../kinds/kubevirt.ts'
import { addAll, invalidValue, requiredValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import type { FieldPath } from '../../lib/field-path.ts'
import { machinesOf } from '../config.ts'
import { devicesOf, type RuleConfig } from './rule.ts'

const VENDOR = '10DE'
const GRACE = ['2342', '2348', '2941']

interface Candidate {
  field: FieldPath
  kind: 'grace' | 'ambiguous'
}

/** Devices of a Grace system are given to guests that suit them. Contract: VMI-GRACE-001 … 007. */
export function graceSuits(spec: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  const candidates = candidatesOf(spec, at, config)
  const grace = candidates.filter(({ kind }) => kind === 'grace')
  const causes: Cause[] = []
  if (!config.isGateOn('GraceIOVirtualization')) {
    for (const { field } of grace)
      causes.push(invalidValue(field, 'needs the feature gate GraceIOVirtualization'))
    return causes
  }
  for (const { field, kind } of candidates) {
    if (kind === 'ambiguous') causes.push(invalidValue(field, 'its selector has *: name the device'))
  }
  if (grace.length > 0) addAll(causes, guestSuits(spec, at, config))
  return causes
}

function guestSuits(spec: VmiSpec, at: FieldPath, config: RuleConfig): Cause[] {
  const architecture = spec.architecture || config.defaultArchitecture
  const causes: Cause[] = []
  if (architecture !== 'arm64')
    causes.push(invalidValue(at.child('architecture'), 'Grace devices need arm64'))
  const machine = spec.domain.machine?.type || machinesOf(config, architecture).machineType
  if (!machine.startsWith('virt')) {
    causes.push(
      invalidValue(at.child('domain', 'machine', 'type'), 'Grace devices need the machine type virt'),
    )
  }
  if (!spec.domain.cpu?.dedicatedCpuPlacement) {
    causes.push(
      requiredValue(at.child('domain', 'cpu', 'dedicatedCpuPlacement'), 'Grace devices need pinned CPUs'),
    )
  }
  for (const gate of ['PCINUMAAwareTopology', 'IOMMUFD']) {
    if (config.isGateOn(gate)) continue
    causes.push(invalidValue(at.child('domain', 'devices'), `Grace devices need the feature gate ${gate}`))
  }
  return causes
}

/** Annotations that Grace devices do not go with. Contract: VMI-GRACEA-001, 002. */
export function graceAnnotationsAreAbsent(
  { annotations = {} }: NonNullable<VmiTemplate['metadata']>,
  spec: VmiSpec,
  at: FieldPath,
  config: RuleConfig,
): Cause[] {
  if (!candidatesOf(spec, at, config).some(({ kind }) => kind === 'grace')) return []
  const causes: Cause[] = []
  for (const name of ['kubevirt.io/placePCIDevicesOnRootComplex', 'kubevirt.io/disablePCIHole64']) {
    if (annotations[name] === 'true')
      causes.push(invalidValue(at.child('annotations').key(name), 'not with Grace devices'))
  }
  return causes
}

function candidatesOf(spec: VmiSpec, at: FieldPath, { pciSelectors }: RuleConfig): Candidate[] {
  const { gpus = [], hostDevices = [] } = devicesOf(spec)
  if (gpus.length + hostDevices.length === 0) return []
  return [['gpus', gpus] as const, ['hostDevices', hostDevices] as const].flatMap(([name, devices]) =>
    devices.flatMap(({ deviceName }, position) => {
      const kind = kindOf(pciSelectors.get(deviceName ?? ''))
      return kind
        ? [{ kind, field: at.child('domain', 'devices', name).index(position).child('deviceName') }]
        : []
    }),
  )
}

function kindOf(selector: string | undefined): Candidate['kind'] | undefined {
  const parts = (selector ?? '').split(':').map((part) => part.trim().toUpperCase().replace(/^0X/, ''))
  const [vendor = '', device = ''] = parts
  if (parts.length !== 2 || vendor !== VENDOR) return undefined
  if (device === '*') return 'ambiguous'
  return GRACE.includes(device) ? 'grace' : undefined
}
