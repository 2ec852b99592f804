import { isRecord, type JsonRecord } from '../lib/json.ts'
import { isQuantity, quantityToNano } from '../lib/quantity.ts'
import { isGateOn } from '../kinds/gates.ts'

/** What machine types an architecture takes. */
export interface MachineConfig {
  /** Given to guests that name none. */
  machineType: string
  /** Patterns such as `pc-q35*`. */
  emulatedMachines: readonly string[]
}

/** What a container asks for, and the most that it may take. */
export interface ResourceAmounts {
  requests?: Record<string, string>
  limits?: Record<string, string>
}

/**
 * Where values that follow from others go: into the spec of a VM, as KubeVirt does it, or nowhere: then they are found
 * anew for each VMI, and the spec stays as it was written.
 */
export type DerivedValues = 'Spec' | 'Runtime'

/** Annotation on VMs, and on the KubeVirt object for all VMs without it, with one of `DerivedValues`. */
export const DERIVED_VALUES_ANNOTATION = 'virtgate.io/derived-values'

/** What the KubeVirt object says about admission. Contract: admission-overview.md, section 9. */
export interface AdmissionConfig {
  /** The namespace KubeVirt's own service accounts live in. */
  installNamespace: string
  /** Given to guests that name none: `amd64`, `arm64` or `s390x`. */
  defaultArchitecture: string
  machines: Readonly<Record<'amd64' | 'arm64' | 's390x', MachineConfig>>
  defaultNetworkInterface: 'bridge' | 'masquerade' | 'slirp'
  permitBridgeOnPodNetwork: boolean
  evictionStrategy: string
  cpuRequest: string
  /** Empty: `host-model`. */
  cpuModel: string
  /** Whether changes are meant to reach a running guest. */
  isLiveUpdate: boolean
  maxHotplugRatio: number
  maxCpuSockets: number
  /** The most memory a guest may be given while it runs; absent: reckoned from what it has. */
  maxGuest?: string
  /** Where guests with TDX reach the quoting service. */
  qgsSocketPath: string
  /** Whether QEMU's own threads take whole cores: an annotation of the KubeVirt object. */
  completesToEvenParity: boolean
  /** Where the values go that follow from others, of VMs that do not say: an annotation of the KubeVirt object. */
  derivedValues: DerivedValues
  /** What containers that share folders of a pod ask for. */
  virtiofs: Required<ResourceAmounts>
  isGateOn(gate: string): boolean
  /** Feature gates as they are listed, known or not. */
  listedGates: readonly string[]
  /** Whether templates may be exported. */
  areTemplatesExported: boolean
  /** Whether LUNs may be reserved. */
  isReservationOn: boolean
  /** Host devices that guests may have: resource name → selector, such as `10DE:1EB8`. */
  pciSelectors: ReadonlyMap<string, string>
}

/** The configuration of an installation without a KubeVirt object. */
export function defaultConfig(architecture: string): AdmissionConfig {
  return {
    installNamespace: 'kubevirt',
    defaultArchitecture: architecture,
    machines: {
      amd64: { machineType: 'q35', emulatedMachines: ['q35*', 'pc-q35*'] },
      arm64: { machineType: 'virt', emulatedMachines: ['virt*'] },
      s390x: { machineType: 's390-ccw-virtio', emulatedMachines: ['s390-ccw-virtio*'] },
    },
    defaultNetworkInterface: 'bridge',
    permitBridgeOnPodNetwork: true,
    evictionStrategy: 'None',
    cpuRequest: '100m',
    cpuModel: '',
    isLiveUpdate: true,
    maxHotplugRatio: 4,
    maxCpuSockets: 0,
    qgsSocketPath: '/var/run/tdx-qgs/qgs.socket',
    completesToEvenParity: false,
    derivedValues: 'Spec',
    virtiofs: { requests: { cpu: '10m', memory: '1M' }, limits: { cpu: '100m', memory: '80M' } },
    isGateOn: (gate) => isGateOn(gate, [], []),
    listedGates: [],
    areTemplatesExported: false,
    isReservationOn: false,
    pciSelectors: new Map(),
  }
}

const recordOf = (value: unknown): JsonRecord => (isRecord(value) ? value : {})
const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((text) => typeof text === 'string') : []

const EVEN_PARITY = 'alpha.kubevirt.io/EmulatorThreadCompleteToEvenParity'

/** `base` with what `spec.configuration` and the annotations of the KubeVirt object say over it. */
export function readConfig(
  base: AdmissionConfig,
  configuration: JsonRecord = {},
  annotations: Readonly<Record<string, string>> = {},
): AdmissionConfig {
  const { developerConfiguration, network, liveUpdateConfiguration, vmRolloutStrategy } = configuration
  const { featureGates, disabledFeatureGates } = recordOf(developerConfiguration)
  const { defaultNetworkInterface, permitBridgeInterfaceOnPodNetwork } = recordOf(network)
  const { maxHotplugRatio, maxCpuSockets, maxGuest } = recordOf(liveUpdateConfiguration)
  const { qgsSocketPath } = recordOf(recordOf(recordOf(configuration.confidentialCompute).tdx).attestation)
  const [enabled, disabled] = [textsOf(featureGates), textsOf(disabledFeatureGates)]
  return {
    ...base,
    machines: readMachines(base, configuration),
    ...(isInterface(defaultNetworkInterface) && { defaultNetworkInterface }),
    ...(typeof permitBridgeInterfaceOnPodNetwork === 'boolean' && {
      permitBridgeOnPodNetwork: permitBridgeInterfaceOnPodNetwork,
    }),
    ...textMember('evictionStrategy', configuration),
    ...textMember('cpuRequest', configuration),
    ...textMember('cpuModel', configuration),
    ...(vmRolloutStrategy !== undefined && { isLiveUpdate: vmRolloutStrategy === 'LiveUpdate' }),
    ...(typeof maxHotplugRatio === 'number' && { maxHotplugRatio }),
    ...(typeof maxCpuSockets === 'number' && { maxCpuSockets }),
    ...(isQuantity(maxGuest) && { maxGuest: String(maxGuest) }),
    ...(typeof qgsSocketPath === 'string' && { qgsSocketPath }),
    completesToEvenParity: EVEN_PARITY in annotations,
    derivedValues: annotations[DERIVED_VALUES_ANNOTATION] === 'Runtime' ? 'Runtime' : 'Spec',
    virtiofs: readVirtiofs(base, configuration),
    ...(developerConfiguration !== undefined && {
      isGateOn: (gate: string) => isGateOn(gate, enabled, disabled),
      listedGates: enabled,
    }),
    areTemplatesExported:
      ['OCIExport', 'Template'].every((gate) => isGateOn(gate, enabled, disabled)) &&
      recordOf(configuration.virtTemplateDeployment).enabled !== false,
    isReservationOn: isReservationOn(configuration, enabled),
    pciSelectors: readSelectors(configuration),
  }
}

/** Each amount is that of the first entry that says one. Contract: admission-mutating.md, section 6. */
function readVirtiofs({ virtiofs }: AdmissionConfig, configuration: JsonRecord): AdmissionConfig['virtiofs'] {
  const { supportContainerResources: given } = configuration
  const entries = (Array.isArray(given) ? given : []).map(recordOf).filter(({ type }) => type === 'virtiofs')
  const read = (part: 'requests' | 'limits', name: 'cpu' | 'memory'): string => {
    const said = entries
      .map(({ resources }) => recordOf(recordOf(resources)[part])[name])
      .filter((amount) => isQuantity(amount))
      .find((amount) => quantityToNano(amount) !== 0n)
    return said === undefined ? (virtiofs[part][name] ?? '0') : String(said)
  }
  const both = (part: 'requests' | 'limits') => ({ cpu: read(part, 'cpu'), memory: read(part, 'memory') })
  return { requests: both('requests'), limits: both('limits') }
}

/** Contract: admission-overview.md, section 9: the gate counts only where it is listed. */
function isReservationOn(
  { persistentReservationConfiguration }: JsonRecord,
  listed: readonly string[],
): boolean {
  const { enabled } = recordOf(persistentReservationConfiguration)
  return typeof enabled === 'boolean' ? enabled : listed.includes('PersistentReservation')
}

function readSelectors({ permittedHostDevices }: JsonRecord): ReadonlyMap<string, string> {
  const { pciHostDevices } = recordOf(permittedHostDevices)
  const selectors = new Map<string, string>()
  for (const device of Array.isArray(pciHostDevices) ? pciHostDevices : []) {
    const { pciVendorSelector: selector, resourceName } = recordOf(device)
    if (typeof selector === 'string' && selector && typeof resourceName === 'string') {
      selectors.set(resourceName, selector)
    }
  }
  return selectors
}

function isInterface(value: unknown): value is AdmissionConfig['defaultNetworkInterface'] {
  return value === 'bridge' || value === 'masquerade' || value === 'slirp'
}

function textMember<K extends string>(name: K, from: JsonRecord): { [P in K]?: string } {
  const value = from[name]
  // A computed member loses its name for the compiler.
  return (typeof value === 'string' && value !== '' ? { [name]: value } : {}) as { [P in K]?: string }
}

function readMachines({ machines }: AdmissionConfig, configuration: JsonRecord): AdmissionConfig['machines'] {
  const { machineType, emulatedMachines, architectureConfiguration } = configuration
  const read = (architecture: keyof typeof machines): MachineConfig => {
    const own = recordOf(recordOf(architectureConfiguration)[architecture])
    const type = machineType || own.machineType
    const patterns = emulatedMachines ?? own.emulatedMachines
    return {
      machineType: typeof type === 'string' && type ? type : machines[architecture].machineType,
      emulatedMachines: Array.isArray(patterns) ? textsOf(patterns) : machines[architecture].emulatedMachines,
    }
  }
  return { amd64: read('amd64'), arm64: read('arm64'), s390x: read('s390x') }
}

/** The machine types of an architecture; an empty or unknown one has those of amd64. */
export function machinesOf(config: AdmissionConfig, architecture: string | undefined): MachineConfig {
  const { amd64, arm64, s390x } = config.machines
  return architecture === 'arm64' ? arm64 : architecture === 's390x' ? s390x : amd64
}
