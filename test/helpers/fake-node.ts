import { PassThrough } from 'node:stream'
import { conflict, notFound } from '../../src/lib/errors.ts'
import type {
  Actions,
  GuestRef,
  GuestReport,
  NodeInfo,
  Nodes,
  NodeUpdate,
  RemoveOptions,
  SyncRequest,
} from '../../src/rpc/actions.ts'

/** A node whose guests do what the test says. */
export interface FakeNode extends Actions {
  /** Every `sync` and `remove`, oldest first. */
  syncs: SyncRequest[]
  removes: { guest: GuestRef; options: RemoveOptions }[]
  guests: Map<string, GuestReport>
  /** Answers `sync` by throwing this. */
  refuseSync: Error | undefined
  /** Changes what is reported of a guest and says so on the watch. */
  tell(uid: string, change: Partial<GuestReport>): void
  /** The guest has ended and is forgotten. */
  finish(uid: string, phase?: 'Succeeded' | 'Failed'): void
  /** Ends every watch, as a broken connection does. */
  disconnect(): void
  /** Watches that are open. */
  watching(): number
}

const info: Omit<NodeInfo, 'nodeName'> = {
  version: '0.1.0',
  rpcVersions: ['v1'],
  bootId: 'b00t',
  architecture: 'x86_64',
  qemuVersion: '7.2.22',
  accelerator: 'tcg',
  acceleratorNote: 'no /dev/kvm',
  machineTypes: ['pc-q35-7.2', 'pc-i440fx-7.2'],
  cpuModels: ['qemu64', 'Haswell'],
  cpuFeatures: ['aes'],
  capacity: { cpus: 2, memoryBytes: 4 * 1024 ** 3 },
}

/** A node without guests. */
export function createFakeNode(nodeName: string, facts: Partial<NodeInfo> = {}): FakeNode {
  const guests = new Map<string, GuestReport>()
  const watches = new Set<{ queue: NodeUpdate[]; wake: () => void; ended: boolean }>()
  function publish(update: NodeUpdate): void {
    for (const watch of watches) {
      watch.queue.push(update)
      watch.wake()
    }
  }
  function known({ uid, name }: GuestRef): GuestReport {
    const report = guests.get(uid)
    if (!report) throw notFound({ group: '', kind: 'guest' }, name)
    return report
  }
  const node: FakeNode = {
    syncs: [],
    removes: [],
    guests,
    refuseSync: undefined,
    tell(uid, change) {
      const report = guests.get(uid)
      if (!report) throw new Error(`the fake node has no guest ${uid}`)
      const next = { ...report, ...change }
      guests.set(uid, next)
      publish({ type: 'report', guest: next })
    },
    finish(uid, phase) {
      if (phase) node.tell(uid, { phase, conditions: [] })
      const guest = guests.get(uid)?.guest
      guests.delete(uid)
      if (guest) publish({ type: 'removed', guest })
    },
    disconnect() {
      for (const watch of watches) {
        watch.ended = true
        watch.wake()
      }
    },
    watching: () => watches.size,
    info: async () => ({ ...info, ...facts, nodeName }),
    metrics: async () => [],
    async sync(request) {
      node.syncs.push(request)
      if (node.refuseSync) throw node.refuseSync
      const { uid, namespace, name } = request.vmi.metadata
      const present = guests.get(uid)
      if (present) return present
      const report: GuestReport = {
        guest: { uid, namespace, name },
        epoch: request.epoch,
        phase: 'Scheduled',
        conditions: [],
        status: {},
        events: [],
      }
      guests.set(uid, report)
      publish({ type: 'report', guest: report })
      return report
    },
    async remove(guest, options) {
      node.removes.push({ guest, options })
      known(guest)
    },
    report: async (guest) => known(guest),
    async *watch(signal) {
      const watch = { queue: [] as NodeUpdate[], wake: () => {}, ended: false }
      watch.queue.push({ type: 'snapshot', guests: [...guests.values()] })
      watches.add(watch)
      try {
        while (!signal.aborted && !watch.ended) {
          const update = watch.queue.shift()
          if (update) yield update
          else await waitForNews(watch, signal)
        }
      } finally {
        watches.delete(watch)
      }
    },
    pause: async (guest) => void known(guest),
    unpause: async (guest) => void known(guest),
    softreboot: async ({ name }) => {
      throw conflict({ group: '', kind: 'guest' }, name, 'it has neither agent nor ACPI')
    },
    reset: async (guest) => void known(guest),
    freeze: async (guest) => void known(guest),
    unfreeze: async (guest) => void known(guest),
    agentInfo: async () => ({ info: { os: {} }, users: [], filesystems: [] }),
    screenshot: async () => Buffer.from('89504e470d0a1a0a', 'hex'),
    sevPlatform: async () => ({}),
    sevMeasurement: async () => ({}),
    sevInjectSecret: async (guest) => void known(guest),
    backup: async (guest) => void known(guest),
    redefineCheckpoint: async (guest) => void known(guest),
    console: async () => new PassThrough(),
    consoleLog: async () => new PassThrough(),
    vnc: async () => new PassThrough(),
    usbredir: async () => new PassThrough(),
    vsock: async () => new PassThrough(),
    guestExec: async () => new PassThrough(),
    portForward: async () => new PassThrough(),
    migrationFacts: async ({ guest }) => {
      known(guest)
      return { form: 1, facts: {} }
    },
    prepareIncoming: async () => ({ address: '192.0.2.1', ports: {} }),
    startOutgoing: async ({ guest }) => void known(guest),
    cancelMigration: async () => {},
    releaseMigration: async ({ guest }) => node.finish(guest.uid),
    reclaimMigration: async ({ guest }) => void known(guest),
  }
  return node
}

async function waitForNews(watch: { wake: () => void }, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const wake = (): void => resolve()
  watch.wake = wake
  signal.addEventListener('abort', wake, { once: true })
  await promise
  signal.removeEventListener('abort', wake)
}

/** Nodes that can be taken away and brought back. */
export interface FakeNodes extends Nodes {
  set(nodeName: string, node: Actions | undefined): void
  /** When a node was last heard of, by the clock of the test. */
  heard: Map<string, number>
}

/** Enrolled nodes by name, all of them ready. */
export function createFakeNodes(initial: Record<string, Actions>): FakeNodes {
  const nodes = new Map(Object.entries(initial))
  const listeners = new Set<() => void>()
  const heard = new Map<string, number>()
  return {
    heard,
    lastHeardMs: (nodeName) => heard.get(nodeName),
    find: (nodeName) => nodes.get(nodeName),
    ready: () => [...nodes.keys()],
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    set(nodeName, node) {
      if (node) nodes.set(nodeName, node)
      else nodes.delete(nodeName)
      for (const listener of listeners) listener()
    },
  }
}
