import { isRecord, type JsonRecord } from '../lib/json.ts'
import { isGateOn } from './gates.ts'

/** What machine types an architecture takes. */
export interface MachineConfig {
  /** Given to guests that name none. */
  machineType: string
  /** Patterns such as `pc-q35*`. */
  emulatedMachines: readonly string[]
}

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
  isGateOn(gate: string): boolean
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
    isGateOn: (gate) => isGateOn(gate, [], []),
  }
}

const recordOf = (value: unknown): JsonRecord => (isRecord(value) ? value : {})
const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((text) => typeof text === 'string') : []

/** `base` with what `spec.configuration` of the KubeVirt object says over it. */
export function readConfig(base: AdmissionConfig, configuration: JsonRecord = {}): AdmissionConfig {
  const { developerConfiguration, network, liveUpdateConfiguration, vmRolloutStrategy } = configuration
  const { featureGates, disabledFeatureGates } = recordOf(developerConfiguration)
  const { defaultNetworkInterface, permitBridgeInterfaceOnPodNetwork } = recordOf(network)
  const { maxHotplugRatio, maxCpuSockets } = recordOf(liveUpdateConfiguration)
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
    ...(developerConfiguration !== undefined && {
      isGateOn: (gate: string) => isGateOn(gate, enabled, disabled),
    }),
  }
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
