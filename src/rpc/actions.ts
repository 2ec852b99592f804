import type { Duplex } from 'node:stream'
import type { Condition } from '../kinds/meta.ts'
import type { Vmi, VmiStatus } from '../kinds/kubevirt.ts'
import type { Reading } from '../metrics/reading.ts'
import type { AttachmentConfig } from '../kinds/network-attachment.ts'

/** Which guest an action is for. The UID decides; names are for messages. */
export interface GuestRef {
  uid: string
  namespace: string
  name: string
}

/** Contents of the Secrets and ConfigMaps that a guest's spec names: object name → key → base64. */
export type ResolvedData = Record<string, Record<string, string>>

/** What a node has to know of a claim that one of a guest's volumes lies on. Sizes in bytes, below 2^53. */
export interface GuestClaim {
  isBound: boolean
  volumeMode: 'Filesystem' | 'Block'
  accessModes: string[]
  requestedBytes: number
  /** Absent before there is a volume. */
  capacityBytes?: number
}

/** All a node needs to run one guest: it holds no credential to look anything up with. */
export interface SyncRequest {
  /** Raised by the controller whenever the guest may have changed hands. A lower one than seen is refused. */
  epoch: number
  vmi: Vmi
  secrets: ResolvedData
  configMaps: ResolvedData
  /** The claims that the guest's volumes name, by name; one that does not exist is missing. */
  claims?: Record<string, GuestClaim>
  /** The NetworkAttachmentDefinitions that the guest's networks name, by `multus.networkName` as it stands there. */
  networks?: Record<string, AttachmentConfig>
  /** Cluster settings that shape a guest. */
  config: GuestConfig
  /** Whether the guest may be started elsewhere when the node is not heard of: it is to stop here before. */
  failover?: boolean
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
    | 'changedBlockTracking'
    | 'VSOCKCID'
  >
  /** The latest migration that the node has had a part in. */
  migration?: MigrationReport
  /** The guest stops by itself when the node has heard of no leader for so many seconds. */
  failoverSeconds?: number
  /** It has done so, and goes on when a leader asks for it. */
  held?: true
  /** Why the guest does not do its work although it runs, by its readiness probe; for people. */
  unready?: string
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
  /** Features that a guest's CPU can have, as QEMU names them. Absent: not told. */
  cpuFeatures?: string[]
  /** Bridges of the host that guests may be put on. Absent: not told. */
  bridges?: string[]
  capacity: { cpus: number; memoryBytes: number }
}

/** How a guest is to be stopped and forgotten. */
export interface RemoveOptions {
  /** Seconds the guest gets to shut down; 0 destroys it at once. A later call may shorten it. */
  graceSeconds: number
}

/** How a console is claimed. */
export interface ConsoleOptions {
  /**
   * `write`: types and reads, and takes over from whoever types; `view`: reads, beside whoever else does. What a
   * viewer types is dropped.
   */
  mode: 'write' | 'view'
  /** Refuse with 503 rather than take over while somebody types. */
  preserveSession: boolean
  /** Who it is for, as it is written down when sessions change hands: printable, at most 256 characters. */
  user: string
}

/** Which part of what a guest has printed is wanted. */
export interface ConsoleLogOptions {
  /** The last so many lines; all that is kept where absent. */
  tailLines?: number
  /** What came after this moment; RFC 3339. */
  sinceTime?: string
  /** At most so many bytes. */
  limitBytes?: number
  /** Go on with what the guest prints from now on, until the stream is closed. */
  follow: boolean
  /** Each line begins with the moment at which it came, in RFC 3339. */
  timestamps: boolean
}

/** How a VNC session is claimed. */
export interface VncOptions {
  /** Refuse with 503 rather than take over where `maxSessions` are open. */
  preserveSession: boolean
  /** Sessions that may be open at the same time; from the KubeVirt configuration, at least 1. */
  maxSessions: number
  /** As in `ConsoleOptions`. */
  user: string
}

/** How a picture of the display is taken. */
export interface ScreenshotOptions {
  /** Move the pointer a little before, so that a screen that went dark shows something. */
  moveCursor: boolean
}

/** Where in the guest a forwarded port leads. */
export interface PortForwardOptions {
  /** 1 to 65535. */
  port: number
  protocol: 'tcp' | 'udp'
}

/** Where in the guest a vsock connection leads. */
export interface VsockOptions {
  port: number
  /** Speak TLS to the guest, whose certificate is not checked. */
  tls: boolean
}

/** A program to run in a guest. */
export interface ExecOptions {
  /** Program and arguments; no shell. */
  command: string[]
  /** Ended after so many seconds; 0 is never. */
  timeoutSeconds: number
}

/** One line of what comes of a program in a guest: JSON, ended by a newline. Bytes are base64. */
export type ExecOutput =
  | { stdout: string }
  | { stderr: string }
  /** Last: it has ended by itself, or by a signal. */
  | { exitCode: number }
  /** Last: it could not be followed to its end. */
  | { failure: string }

/** When a frozen guest thaws by itself. */
export interface FreezeOptions {
  /** Whole seconds, 0 for never. */
  unfreezeSeconds: number
}

/** What the agent in a guest last said. Every text of it is the guest's. Source: contract 5. */
export interface AgentInfo {
  info: GuestAgentInfo
  users: GuestOSUser[]
  filesystems: GuestFileSystem[]
}

/** The members of VirtualMachineInstanceGuestAgentInfo but lists of users and filesystems. Source: contract 5.1. */
export interface GuestAgentInfo {
  guestAgentVersion?: string
  supportedCommands?: { name: string; enabled?: boolean }[]
  hostname?: string
  os: Partial<
    Record<
      'name' | 'kernelRelease' | 'version' | 'prettyName' | 'versionId' | 'kernelVersion' | 'machine' | 'id',
      string
    >
  >
  timezone?: string
  fsFreezeStatus?: 'thawed' | 'frozen'
}

/** A user who is logged in. Source: contract 5.2. */
export interface GuestOSUser {
  userName: string
  domain?: string
  /** Seconds since 1970, with a fraction. */
  loginTime?: number
}

/** A file system that is mounted. Source: contract 5.2. */
export interface GuestFileSystem {
  diskName: string
  mountPoint: string
  fileSystemType: string
  usedBytes: number
  totalBytes: number
  disk?: { serial?: string; busType: string }[]
}

/** A secret for a SEV guest that waits for it. Base64. */
export interface SevSecret {
  header: string
  secret: string
}

/** What a backup is to do. Source: contract 3.2, BackupOptions. */
export interface BackupOptions {
  backupName?: string
  cmd?: 'Start' | 'Abort' | 'Export'
  mode?: 'Push' | 'Pull'
  backupStartTime?: string
  /** Name of the checkpoint it continues from. */
  incremental?: string
  targetPath?: string
  skipQuiesce?: boolean
  exportServerAddr?: string
  exportServerName?: string
  backupKey?: string
  backupCert?: string
  caCert?: string
}

/** A checkpoint that a node is to know again. Source: contract 3.2, BackupCheckpoint. */
export interface BackupCheckpoint {
  name?: string
  creationTime?: string
  volumes?: { volumeName?: string; diskTarget?: string; dataEndpoint?: string; mapEndpoint?: string }[]
}

/** One migration of one guest. A migration UID is carried out at most once. */
export interface MigrationRef {
  guest: GuestRef
  /** UID of the VirtualMachineInstanceMigration. */
  migrationUid: string
}

/** What the target has to know of the running guest; written by the source's worker, read by the target's alone. */
export interface MigrationFacts {
  /** Form of `facts`: raised when older workers could not use it any more. */
  form: number
  facts: Record<string, unknown>
}

/** One side's certificate of one migration, with its key and the authority that signed both sides'; PEM. */
export interface MigrationTls {
  ca: string
  cert: string
  key: string
  /** Common name of the other side's certificate. */
  peerName: string
}

/** What a node is to receive. */
export interface IncomingRequest extends MigrationRef {
  /** As for `sync`: the guest as it is to be on the target, with the epoch it gets once it runs there. */
  sync: SyncRequest
  facts: MigrationFacts
  /** Absent: not encrypted (`disableTLS`). */
  tls?: MigrationTls
  /** Name of the network over which it is to arrive; absent: the one that the node uses for that. */
  network?: string
}

/** Where a node waits for a guest. */
export interface IncomingReply {
  /** IP address. */
  address: string
  /** Real port → channel: 49152 is the guest's state, 49153 its disks. Source: contract worker-qemu 5.1. */
  ports: Record<string, number>
  /** It can let the guest run before all of its memory is there. */
  postCopy?: boolean
}

/** How a guest is sent. */
export interface OutgoingRequest extends MigrationRef {
  epoch: number
  target: IncomingReply
  tls?: MigrationTls
  options: MigrationOptions
}

/** How a guest is moved. Source: KubeVirt's MigrationConfiguration; contract worker-qemu 5.4. */
export interface MigrationOptions {
  /** Bytes per second; 0 is no limit. */
  bandwidthBytes: number
  completionSecondsPerGiB: number
  progressSeconds: number
  maxDowntimeMs: number
  allowAutoConverge: boolean
  allowPostCopy: boolean
  allowWorkloadDisruption: boolean
}

/** Where a migration stands on one node. */
export interface MigrationReport {
  migrationUid: string
  side: 'source' | 'target'
  /**
   * Target: `preparing`, `ready` (waits for the guest), `running` (receives it), `done` (the guest runs here).
   * Source: `running`, `handedOver` (the target has all of it and decides; it never runs here again by itself).
   * Both: `failed` (it goes on running at the source, unless `guestLost`).
   */
  phase: 'preparing' | 'ready' | 'running' | 'handedOver' | 'done' | 'failed'
  mode?: 'PreCopy' | 'PostCopy' | 'Paused'
  /** RFC 3339. */
  startTime?: string
  endTime?: string
  /** When the guest's CPUs ran on the target. */
  readyTime?: string
  /** Stable prefix and detail, such as `aborted: …`, `timeout: …`. Source: contract worker-qemu 5.6. */
  failure?: string
  /** The failure has cost the guest: post-copy. */
  guestLost?: boolean
  /** Of a cancellation that was asked for. */
  abortStatus?: 'Aborting' | 'Succeeded' | 'Failed'
  progress?: {
    totalBytes: number
    remainingBytes: number
    transferredBytes: number
    downtimeMs?: number
    iteration: number
  }
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

  /** Figures of its guests, as they are now. A guest that does not answer within 2 s is left out. */
  metrics(signal?: AbortSignal): Promise<Reading[]>

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

  /** Has the guest's agent freeze its file systems; a frozen guest stays so. 409 where there is no agent. */
  freeze(guest: GuestRef, options: FreezeOptions, signal?: AbortSignal): Promise<void>

  /** Thaws them; a guest that is not frozen stays as it is. */
  unfreeze(guest: GuestRef, signal?: AbortSignal): Promise<void>

  /** What the guest's agent said last; nothing is asked of it now. 409 where there is no agent. */
  agentInfo(guest: GuestRef, signal?: AbortSignal): Promise<AgentInfo>

  /** Runs a program in the guest, through its agent. Its output comes as lines of `ExecOutput`. Not repeatable. */
  guestExec(guest: GuestRef, options: ExecOptions, signal?: AbortSignal): Promise<Duplex>

  /** The serial console. */
  console(guest: GuestRef, options: ConsoleOptions, signal?: AbortSignal): Promise<Duplex>

  /** What the serial console has printed, as text. Ended guests still have theirs. */
  consoleLog(guest: GuestRef, options: ConsoleLogOptions, signal?: AbortSignal): Promise<Duplex>

  /** The display, in the RFB protocol. */
  vnc(guest: GuestRef, options: VncOptions, signal?: AbortSignal): Promise<Duplex>

  /** What the display shows, as PNG. */
  screenshot(guest: GuestRef, options: ScreenshotOptions, signal?: AbortSignal): Promise<Buffer>

  /** One of the guest's USB redirection slots. 503 where all are taken. */
  usbredir(guest: GuestRef, signal?: AbortSignal): Promise<Duplex>

  /** A connection to a vsock port in the guest. */
  vsock(guest: GuestRef, options: VsockOptions, signal?: AbortSignal): Promise<Duplex>

  /**
   * A connection to a port in the guest, at an address that this node has assigned. UDP: each datagram with its
   * length before it, see `lib/datagrams.ts`. 409 where the guest has no such address, 504 where nothing answers.
   */
  portForward(guest: GuestRef, options: PortForwardOptions, signal?: AbortSignal): Promise<Duplex>

  /** The platform's certificates, for who is to trust a SEV guest. */
  sevPlatform(guest: GuestRef, signal?: AbortSignal): Promise<Record<string, unknown>>

  /** What a SEV guest that waits was measured to be. */
  sevMeasurement(guest: GuestRef, signal?: AbortSignal): Promise<Record<string, unknown>>

  /** Gives a SEV guest that waits its secret. */
  sevInjectSecret(guest: GuestRef, secret: SevSecret, signal?: AbortSignal): Promise<void>

  /** Starts, ends or exports a backup of the guest's disks. By its name it may be repeated. */
  backup(guest: GuestRef, options: BackupOptions, signal?: AbortSignal): Promise<void>

  /** Makes a checkpoint known again. 422 where its bitmaps cannot be used, 503 for every other failure. */
  redefineCheckpoint(guest: GuestRef, checkpoint: BackupCheckpoint, signal?: AbortSignal): Promise<void>

  /** On the source: what the target has to know of the guest. 409 where it cannot be moved. */
  migrationFacts(ref: MigrationRef, signal?: AbortSignal): Promise<MigrationFacts>

  /** On the target: makes ready for the guest; answers once it may be sent. By migration UID it may be repeated. */
  prepareIncoming(request: IncomingRequest, signal?: AbortSignal): Promise<IncomingReply>

  /** On the source: begins to send. Answers once it is written down. 409 for a migration that was carried out. */
  startOutgoing(request: OutgoingRequest, signal?: AbortSignal): Promise<void>

  /** On either side: gives up. On the source the guest goes on; the target forgets it. No-op after the hand-over. */
  cancelMigration(ref: MigrationRef, signal?: AbortSignal): Promise<void>

  /** On the source, after the guest runs on the target: ends what is left of it and forgets it. */
  releaseMigration(ref: MigrationRef, epoch: number, signal?: AbortSignal): Promise<void>

  /** On the source, after the target has died for certain without running it: lets the guest go on here. */
  reclaimMigration(ref: MigrationRef, epoch: number, signal?: AbortSignal): Promise<void>
}

/** Finds the node that a guest runs on. Only enrolled nodes are found, whatever an object's status says. */
export interface Nodes {
  /** `undefined` where no such node is enrolled, or it does not answer. */
  find(nodeName: string): Actions | undefined
  /** When that node answered last, by `monotonicMs`; `undefined` where no such node is enrolled. */
  lastHeardMs(nodeName: string): number | undefined
  /** Names of the nodes that are ready for guests. */
  ready(): string[]
  /** Calls `listener` whenever the answer of `ready` may have changed; returns how to stop that. */
  onChange(listener: () => void): () => void
}
