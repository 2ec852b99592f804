import type { Duplex } from 'node:stream'
import type { Condition } from '../kinds/meta.ts'
import type { Vmi, VmiStatus } from '../kinds/kubevirt.ts'

/** Which guest an action is for. The UID decides; names are for messages. */
export interface GuestRef {
  uid: string
  namespace: string
  name: string
}

/** Contents of the Secrets and ConfigMaps that a guest's spec names: object name → key → base64. */
export type ResolvedData = Record<string, Record<string, string>>

/** All a node needs to run one guest: it holds no credential to look anything up with. */
export interface SyncRequest {
  /** Raised by the controller whenever the guest may have changed hands. A lower one than seen is refused. */
  epoch: number
  vmi: Vmi
  secrets: ResolvedData
  configMaps: ResolvedData
  /** Cluster settings that shape a guest. */
  config: GuestConfig
}

/** Cluster settings that shape a guest, from the KubeVirt configuration object. */
export interface GuestConfig {
  /** Whether a guest may run without KVM. Embedded mode allows it. */
  allowEmulation: boolean
}

/** What a node says of one of its guests. It speaks only of what it owns; the controller merges it. */
export interface GuestReport {
  guest: GuestRef
  epoch: number
  /** `Scheduled` while being prepared. */
  phase: 'Scheduled' | 'Running' | 'Succeeded' | 'Failed'
  /** Machine-readable, for a phase that needs an explanation. */
  reason?: string
  /** For people: what happened, or what is being waited for, image pull progress included. */
  message?: string
  /** Conditions the node owns. One that is absent does not hold and is to be removed from the VMI. */
  conditions: Condition[]
  /** Further fields of `VMI.status` that the node owns. */
  status: Pick<
    VmiStatus,
    | 'interfaces'
    | 'volumeStatus'
    | 'machine'
    | 'memory'
    | 'currentCPUTopology'
    | 'guestOSInfo'
    | 'fsFreezeStatus'
    | 'kernelBootStatus'
    | 'migrationMethod'
  >
  /** Things that happened, newest last, each with an id that never repeats for the guest. At most 20. */
  events: GuestEvent[]
}

/** Something that happened to a guest and is worth a Kubernetes Event. */
export interface GuestEvent {
  id: string
  type: 'Normal' | 'Warning'
  reason: string
  message: string
  /** RFC 3339. */
  time: string
}

/** One step of a watch on a node. */
export type NodeUpdate =
  /** First on every watch: all guests the node has. Whoever is missing is gone. */
  | { type: 'snapshot'; guests: GuestReport[] }
  | { type: 'report'; guest: GuestReport }
  /** The guest is stopped, cleaned up and forgotten. */
  | { type: 'removed'; guest: GuestRef }
  /** Sent every 10 s, so that a dead peer is noticed. */
  | { type: 'heartbeat' }

/** What a node is and can do. */
export interface NodeInfo {
  nodeName: string
  /** `virtgate` version of the worker. */
  version: string
  rpcVersions: string[]
  /** Boot id of the machine. */
  bootId: string
  architecture: string
  qemuVersion: string
  accelerator: 'kvm' | 'tcg'
  /** Why it is not KVM, for people. Empty with KVM. */
  acceleratorNote: string
  /** Concrete machine types, newest first. */
  machineTypes: string[]
  cpuModels: string[]
  capacity: { cpus: number; memoryBytes: number }
}

/** How a guest is to be stopped and forgotten. */
export interface RemoveOptions {
  /** Seconds the guest gets to shut down; 0 destroys it at once. A later call may shorten it. */
  graceSeconds: number
}

/** How a VNC session is claimed. */
export interface VncOptions {
  /** Refuse with 503 rather than take over while another session is active. */
  preserveSession: boolean
}

/**
 * Everything the API may ask of a node. This list is the whole of what crosses the wire.
 *
 * Every call may be repeated: the second one finds the work done and answers the same. Refusals are
 * `StatusError`s: 404 for a guest the node does not have, 409 for one in the wrong state, 503 for what is in
 * use. A call ends when `signal` aborts; the work on the node may still finish.
 */
export interface Actions {
  info(signal?: AbortSignal): Promise<NodeInfo>

  /** Makes the guest be what the request says; answers once the node has written it down, not once it runs. */
  sync(request: SyncRequest, signal?: AbortSignal): Promise<GuestReport>

  /**
   * Shuts the guest down and forgets it, its local disks included. Answers at once; `removed` follows on the
   * watch. 404 where it is gone already.
   */
  remove(guest: GuestRef, options: RemoveOptions, signal?: AbortSignal): Promise<void>

  /** What the node knows of the guest now. */
  report(guest: GuestRef, signal?: AbortSignal): Promise<GuestReport>

  /** A snapshot, then every change, until `signal` aborts or the connection ends. */
  watch(signal: AbortSignal): AsyncIterable<NodeUpdate>

  /** Stops the guest's virtual CPUs; answers once QEMU has confirmed it. Running guests only. */
  pause(guest: GuestRef, signal?: AbortSignal): Promise<void>

  /** Lets them run again. A guest that is not paused stays as it is. */
  unpause(guest: GuestRef, signal?: AbortSignal): Promise<void>

  /** Reboots through the guest agent, else by the ACPI button. 409 where the guest has neither. */
  softreboot(guest: GuestRef, signal?: AbortSignal): Promise<void>

  /** Hardware reset. */
  reset(guest: GuestRef, signal?: AbortSignal): Promise<void>

  /** The serial console. A new session takes over from the one before, which ends. */
  console(guest: GuestRef, signal?: AbortSignal): Promise<Duplex>

  /** The display, in the RFB protocol. */
  vnc(guest: GuestRef, options: VncOptions, signal?: AbortSignal): Promise<Duplex>
}

/** Finds the node that a guest runs on. Only enrolled nodes are found, whatever an object's status says. */
export interface Nodes {
  /** `undefined` where no such node is enrolled, or it does not answer. */
  find(nodeName: string): Actions | undefined
  /** Names of the nodes that are ready for guests. */
  ready(): string[]
  /** Calls `listener` whenever the answer of `ready` may have changed; returns how to stop that. */
  onChange(listener: () => void): () => void
}
