import { onTestFinished } from 'vitest'
import { defaultConfig } from '../../src/admission/config.ts'
import { specDefaults } from '../../src/admission/defaults.ts'
import { startControllers } from '../../src/controllers/index.ts'
import type { ControllerConfig, ControllerParts, MigrationCredentials } from '../../src/controllers/parts.ts'
import { buildExpander } from '../../src/instancetype/expand.ts'
import { mayUseAll } from '../../src/kinds/foreign-use.ts'
import type { Event } from '../../src/kinds/core.ts'
import type { RunStrategy, Vm, Vmi, VmSpec } from '../../src/kinds/kubevirt.ts'
import type { Draft } from '../../src/kinds/meta.ts'
import { EVENTS, VMIS, VMS } from '../../src/kinds/table.ts'
import { openInformer } from '../../src/store/informer.ts'
import { openEventRecorder } from '../../src/store/event-recorder.ts'
import type { Metrics } from '../../src/metrics/exposition.ts'
import type { Store } from '../../src/store/store.ts'
import { createFakeClock, turnUntil } from './fake-clock.ts'
import type { FakeClock } from './fake-clock.ts'
import { createFakeNode, createFakeNodes } from './fake-node.ts'
import type { FakeNode, FakeNodes } from './fake-node.ts'
import { ADMIN, openRegistry, silentLog } from './object-registry.ts'

/** All controllers at work on a real store, with fake nodes and a clock that stands still. */
export interface World {
  store: Store
  clock: FakeClock
  nodes: FakeNodes
  /** The first node. */
  node: FakeNode
  vm(name: string): Promise<Vm | undefined>
  vmi(name: string): Promise<Vmi | undefined>
  /** Reasons of the Events on objects of that name, oldest first. */
  reasons(name: string): Promise<string[]>
  /** Waits until the VM of that name satisfies `holds`. */
  vmUntil(name: string, holds: (vm: Vm) => boolean): Promise<Vm>
  vmiUntil(name: string, holds: (vmi: Vmi) => boolean): Promise<Vmi>
  vmiGone(name: string): Promise<void>
  /** Waits until the VM has a VMI on the first node, and lets it run. */
  boot(name: string, other?: string): Promise<Vmi>
  /** Stops the controllers, and starts new ones on the same store and nodes. */
  restart(): Promise<void>
  /** Stops the controllers. */
  stop(): Promise<void>
}

/** What a test may want to be different. */
export interface WorldOptions {
  config?: Partial<ControllerConfig>
  nodes?: Record<string, FakeNode>
  /** What service accounts may use of other namespaces; everything where absent. */
  foreignUses?: ControllerParts['foreignUses']
  metrics?: Metrics
}

/** Starts the controllers; they end with the test. */
export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const clock = createFakeClock()
  const registry = await openRegistry({ clock })
  onTestFinished(() => registry[Symbol.dispose]())
  const store = registry.api.as(ADMIN)
  const node = createFakeNode('node-a')
  const nodes = createFakeNodes(options.nodes ?? { 'node-a': node })
  const config = {
    allowEmulation: true,
    ownsNodes: true,
    version: '0.1.0',
    kubeVirtVersion: 'v1.9.0',
    ...options.config,
  }
  const start = async () => {
    const stack = new AsyncDisposableStack()
    const common = { store, clock, log: silentLog }
    const events = stack.use(openEventRecorder({ ...common, component: 'virtgate' }))
    const expander = buildExpander({ reader: store, defaults: () => specDefaults(defaultConfig('amd64')) })
    const migrationCertificates = { issue: async (uid: string) => fakeCredentials(uid) }
    const parts = {
      ...common,
      openInformer,
      nodes,
      events,
      expander,
      foreignUses: options.foreignUses ?? (() => mayUseAll),
      migrationCertificates,
      config,
      ...(options.metrics && { metrics: options.metrics }),
      random: () => 0,
    }
    stack.use(await startControllers(parts))
    return stack
  }
  let running = await start()
  onTestFinished(() => running.disposeAsync())
  const vm = (name: string) => store.get(VMS, 'default', name)
  const vmi = (name: string) => store.get(VMIS, 'default', name)
  const vmiUntil: World['vmiUntil'] = (name, holds) =>
    turnUntil(async () => {
      const found = await vmi(name)
      return found && holds(found) && found
    })
  return {
    store,
    clock,
    nodes,
    node,
    vm,
    vmi,
    vmiUntil,
    async reasons(name) {
      const { items } = await store.list(EVENTS, { namespace: 'default' })
      return items
        .filter(({ involvedObject }) => involvedObject.name === name)
        .map((event: Event) => event.reason ?? '')
    },
    vmUntil: (name, holds) =>
      turnUntil(async () => {
        const found = await vm(name)
        return found && holds(found) && found
      }),
    async vmiGone(name) {
      await turnUntil(async () => (await vmi(name)) === undefined)
    },
    async boot(name, other) {
      const scheduled = await vmiUntil(
        name,
        ({ metadata, status }) => status?.phase === 'Scheduled' && metadata.uid !== other,
      )
      node.tell(scheduled.metadata.uid, { phase: 'Running' })
      return vmiUntil(name, ({ status }) => status?.phase === 'Running')
    },
    stop: () => running.disposeAsync(),
    async restart() {
      await running.disposeAsync()
      running = await start()
    },
  }
}

/** Certificates that say whose they are, and are none. */
export function fakeCredentials(uid: string): MigrationCredentials {
  const side = (name: string, peer: string) => ({
    ca: 'ca',
    cert: `mig-${uid}-${name}`,
    key: 'key',
    peerName: `mig-${uid}-${peer}`,
  })
  return { source: side('src', 'dst'), target: side('dst', 'src') }
}

/** A small VM. */
export function buildVm(name: string, runStrategy: RunStrategy, spec: Partial<VmSpec> = {}): Draft<Vm> {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { namespace: 'default', name },
    spec: { runStrategy, template: { spec: smallSpec() }, ...spec },
  }
}

/** A small VMI. */
export function buildVmi(name: string, spec: Partial<Vmi['spec']> = {}): Draft<Vmi> {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { namespace: 'default', name, finalizers: ['kubevirt.io/foregroundDeleteVirtualMachine'] },
    spec: { ...smallSpec(), ...spec },
    status: { phase: 'Pending' },
  }
}

function smallSpec(): Vmi['spec'] {
  return { domain: { devices: {}, memory: { guest: '128Mi' } } }
}
