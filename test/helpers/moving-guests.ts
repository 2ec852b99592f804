import type { Vmi, Vmim } from '../../src/kinds/kubevirt.ts'
import type { Draft } from '../../src/kinds/meta.ts'
import { NODES, VMIMS, VMIS } from '../../src/kinds/table.ts'
import { notFound } from '../../src/lib/errors.ts'
import type {
  IncomingRequest,
  MigrationRef,
  MigrationReport,
  OutgoingRequest,
} from '../../src/rpc/actions.ts'
import { buildVmi, startWorld } from './controllers.ts'
import type { World, WorldOptions } from './controllers.ts'
import { turn, turnUntil } from './fake-clock.ts'
import { createFakeNode } from './fake-node.ts'
import type { FakeNode } from './fake-node.ts'

type Step = 'migrationFacts' | 'prepareIncoming' | 'startOutgoing' | 'cancelMigration'

/** A node that takes part in migrations as a worker does, and remembers what it was asked. */
export interface MovingNode extends FakeNode {
  facts: MigrationRef[]
  incoming: IncomingRequest[]
  outgoing: OutgoingRequest[]
  cancels: MigrationRef[]
  releases: { ref: MigrationRef; epoch: number }[]
  reclaims: { ref: MigrationRef; epoch: number }[]
  /** Answers a step by throwing this. */
  refuse: { [S in Step]?: Error | undefined }
  /** Incoming guests are not ready until this is called off. */
  isSlow: boolean
  /** Changes what is said of the guest's migration. */
  move(uid: string, change: Partial<MigrationReport>): void
}

/** A node without guests. */
export function createMovingNode(nodeName: string): MovingNode {
  const fake = createFakeNode(nodeName)
  const node: MovingNode = Object.assign(fake, {
    facts: [],
    incoming: [],
    outgoing: [],
    cancels: [],
    releases: [],
    reclaims: [],
    refuse: {},
    isSlow: false,
    move(uid: string, change: Partial<MigrationReport>) {
      const before = fake.guests.get(uid)?.migration
      if (!before) throw new Error(`the guest ${uid} is not being moved`)
      fake.tell(uid, { migration: { ...before, ...change } })
    },
  })
  const check = (step: Step): void => {
    const error = node.refuse[step]
    if (error) throw error
  }
  const known = ({ uid, name }: MigrationRef['guest']) => {
    const report = node.guests.get(uid)
    if (!report) throw notFound({ group: '', kind: 'guest' }, name)
    return report
  }
  node.migrationFacts = async (ref) => {
    node.facts.push(ref)
    check('migrationFacts')
    known(ref.guest)
    return { form: 1, facts: { machine: 'pc-q35-7.2' } }
  }
  node.prepareIncoming = async (request, signal) => {
    node.incoming.push(request)
    check('prepareIncoming')
    const { guest, migrationUid, sync } = request
    const base = {
      guest,
      epoch: sync.epoch,
      phase: 'Scheduled' as const,
      conditions: [],
      status: {},
      events: [],
    }
    if (!node.guests.has(guest.uid)) {
      node.guests.set(guest.uid, base)
      node.tell(guest.uid, { migration: { migrationUid, side: 'target', phase: 'preparing' } })
    }
    while (node.isSlow) {
      signal?.throwIfAborted()
      await new Promise((resolve) => setImmediate(resolve))
    }
    if (known(guest).migration?.phase === 'preparing') node.move(guest.uid, { phase: 'ready' })
    return { address: '192.0.2.7', ports: { '40000': 49152 } }
  }
  node.startOutgoing = async (request) => {
    node.outgoing.push(request)
    check('startOutgoing')
    const { guest, migrationUid } = request
    known(guest)
    const startTime = '2026-01-01T00:00:30Z'
    node.tell(guest.uid, {
      migration: { migrationUid, side: 'source', phase: 'running', mode: 'PreCopy', startTime },
    })
  }
  node.cancelMigration = async (ref) => {
    node.cancels.push(ref)
    check('cancelMigration')
    const { uid } = ref.guest
    const { migration } = known(ref.guest)
    if (migration?.migrationUid !== ref.migrationUid) return
    if (migration.side === 'target') {
      if (migration.phase !== 'done') node.finish(uid)
    } else if (migration.phase === 'running') {
      const failure = 'aborted: it was cancelled'
      if (migration.mode === 'PostCopy') node.move(uid, { abortStatus: 'Failed' })
      else node.move(uid, { phase: 'failed', failure, abortStatus: 'Succeeded' })
    }
  }
  node.releaseMigration = async (ref, epoch) => {
    node.releases.push({ ref, epoch })
    known(ref.guest)
    node.finish(ref.guest.uid)
  }
  node.reclaimMigration = async (ref, epoch) => {
    node.reclaims.push({ ref, epoch })
    known(ref.guest)
    const failure = 'internal: the target ended before the guest ran there; it goes on here'
    node.tell(ref.guest.uid, {
      epoch,
      migration: { migrationUid: ref.migrationUid, side: 'source', phase: 'failed', failure },
    })
  }
  const sync: FakeNode['sync'] = node.sync.bind(node)
  node.sync = async (request) => {
    const report = await sync(request)
    if (request.epoch > report.epoch) node.tell(request.vmi.metadata.uid, { epoch: request.epoch })
    return node.guests.get(request.vmi.metadata.uid) ?? report
  }
  return node
}

/** Controllers at work on two nodes or more, with a guest that runs on the first. */
export interface MovingWorld extends World {
  a: MovingNode
  b: MovingNode
  uid: string
  /** Waits until `holds` answers something, up to two seconds of the clock. */
  until<T>(holds: () => T | undefined | false | Promise<T | undefined | false>): Promise<T>
  /** Creates a migration of the guest. */
  migrate(name?: string, spec?: Vmim['spec'], vmi?: string): Promise<Vmim>
  vmim(name: string): Promise<Vmim | undefined>
  vmimUntil(name: string, holds: (vmim: Vmim) => boolean): Promise<Vmim>
  inPhase(name: string, phase: string): Promise<Vmim>
  /** Creates a VMI and has it run on the node where it is placed. */
  run(name: string, spec?: Partial<Vmi['spec']>): Promise<Vmi>
  /** The source has sent all, and the guest runs on the target. */
  arrive(migrationUid: string, from?: MovingNode, to?: MovingNode, uid?: string): void
}

/** Starts it; it ends with the test. */
export async function startMovingWorld(options: WorldOptions = {}): Promise<MovingWorld> {
  const [a, b] = [createMovingNode('node-a'), createMovingNode('node-b')]
  const all: Record<string, FakeNode> = { 'node-a': a, 'node-b': b, ...options.nodes }
  const world = await startWorld({ ...options, nodes: all })
  await turnUntil(async () => {
    const { items } = await world.store.list(NODES)
    return items.length === Object.keys(all).length && items.every(({ status }) => status?.allocatable)
  })
  const vmim = (name: string) => world.store.get(VMIMS, 'default', name)
  const until: MovingWorld['until'] = async (holds) => {
    for (let round = 0; round < 100; round++) {
      const found = await holds()
      if (found !== undefined && found !== false) return found
      await turn(20)
      // Whoever has lost a race tries again after a moment.
      world.clock.advance(20)
    }
    throw new Error('waited in vain')
  }
  const vmimUntil: MovingWorld['vmimUntil'] = (name, holds) =>
    until(async () => {
      const found = await vmim(name)
      return found && holds(found) && found
    })
  const vmiUntil: MovingWorld['vmiUntil'] = (name, holds) =>
    until(async () => {
      const found = await world.vmi(name)
      return found && holds(found) && found
    })
  const run: MovingWorld['run'] = async (name, spec = {}) => {
    await world.store.create(VMIS, buildVmi(name, spec))
    const { metadata, status } = await vmiUntil(name, (vmi) => vmi.status?.phase === 'Scheduled')
    all[status?.nodeName ?? '']?.tell(metadata.uid, { phase: 'Running' })
    return vmiUntil(name, (vmi) => vmi.status?.phase === 'Running')
  }
  const { metadata } = await run('web')
  return {
    ...world,
    a,
    b,
    uid: metadata.uid,
    until,
    vmim,
    vmiUntil,
    vmimUntil,
    run,
    inPhase: (name, phase) => vmimUntil(name, ({ status }) => status?.phase === phase),
    migrate: (name = 'move', spec = {}, vmi = 'web') => world.store.create(VMIMS, buildVmim(name, vmi, spec)),
    arrive(migrationUid, from = a, to = b, uid = metadata.uid) {
      from.move(uid, { phase: 'handedOver', endTime: '2026-01-01T00:01:00Z' })
      to.tell(uid, {
        phase: 'Running',
        migration: {
          migrationUid,
          side: 'target',
          phase: 'done',
          readyTime: '2026-01-01T00:01:01Z',
          endTime: '2026-01-01T00:01:01Z',
        },
      })
    },
  }
}

/** A migration as the webhook lets it through. */
export function buildVmim(name: string, vmiName: string, spec: Vmim['spec'] = {}): Draft<Vmim> {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstanceMigration',
    metadata: {
      namespace: 'default',
      name,
      labels: { 'kubevirt.io/vmi-name': vmiName },
      finalizers: ['kubevirt.io/migrationJobFinalize'],
    },
    spec: { vmiName, ...spec },
  }
}

/** The nodes on which a guest of that UID runs: there must never be two. */
export function runningOn(nodes: readonly MovingNode[], uid: string): number {
  return nodes.filter((node) => {
    const report = node.guests.get(uid)
    const { migration } = report ?? {}
    return report?.phase === 'Running' && migration?.phase !== 'handedOver'
  }).length
}
