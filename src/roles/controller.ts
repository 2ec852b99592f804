import { startControllers } from '../controllers/index.ts'
import { configurationOf } from '../kinds/configuration.ts'
import { KUBEVIRTS } from '../kinds/table.ts'
import { systemClock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { openEventRecorder } from '../store/event-recorder.ts'
import { openInformer } from '../store/informer.ts'
import { buildClusterExpander } from './cluster-expander.ts'
import { openClusterNodes, type WorkerCallOptions } from './cluster-nodes.ts'
import { openCluster, type ClusterOptions } from './cluster.ts'
import { openMigrationCertificates, type MigrationAuthorityFiles } from './migration-certificates.ts'
import { KUBEVIRT_VERSION, readVersion } from './version.ts'
import { openWatchedTls } from './watched-tls.ts'

/** What a controller process is started with. */
export interface ControllerRoleOptions extends ClusterOptions, WorkerCallOptions, MigrationAuthorityFiles {
  /** Whether Node objects and their leases are ours: where no kubelet keeps them. */
  ownNodes: boolean
  log: Log
  signal: AbortSignal
}

/** Controllers at work. Closing them leaves the guests running. */
export interface RunningController extends AsyncDisposable {
  /** The API whose objects they reconcile. */
  server: string
}

/** Reconciles the VMs of a Kubernetes API with the guests on the workers. One such process at a time. */
export async function openControllerRole(options: ControllerRoleOptions): Promise<RunningController> {
  const { ownNodes, installNamespace, log } = options
  await using stack = new AsyncDisposableStack()
  const migrationCertificates = openMigrationCertificates(options)
  // What can be wrong here is found before anybody else is asked.
  const tls = stack.use(await openWatchedTls(options.tls, log))
  const { client, store } = stack.use(await openCluster(options))
  const nodes = stack.use(await openClusterNodes({ ...options, tls, store, namespace: installNamespace }))
  const events = stack.use(
    openEventRecorder({ store, component: 'virtgate-controller', clock: systemClock, log }),
  )
  stack.use(
    await startControllers({
      store,
      openInformer,
      nodes: nodes.directory,
      events,
      expander: buildClusterExpander(store, async () => configurationOf((await store.list(KUBEVIRTS)).items)),
      migrationCertificates,
      clock: systemClock,
      log,
      config: {
        // The KubeVirt object's `useEmulation` allows it.
        allowEmulation: false,
        ownsNodes: ownNodes,
        workerNamespace: installNamespace,
        keepsQuotas: true,
        version: readVersion(),
        kubeVirtVersion: KUBEVIRT_VERSION,
      },
    }),
  )
  const open = stack.move()
  return { server: client.config.server, [Symbol.asyncDispose]: () => open.disposeAsync() }
}
