/** The commands that run a part of virtgate: `up` and the roles of a cluster. */
import { Option, type Command } from 'commander'
import { addApiServer, addController } from './cluster-commands.ts'
import {
  aborted,
  allowOrigin,
  anonymousMetrics,
  auditLogMaxbackup,
  auditLogMaxsize,
  collect,
  count,
  logLevel,
  imageGcHighThreshold,
  imageMaximumGcAge,
  qemuLogMaxsize,
} from './command-options.ts'
import { defaultDataDir } from './data-dir.ts'
import type { ImageGcOptions } from './image-gc.ts'
import { openLog, type AuditLogOptions, type LogLevel } from './log.ts'
import { addWorkerTlsOptions, workerTls, type WorkerTlsOptions } from './worker-tls-options.ts'
import type { WorkerRoleOptions } from './worker.ts'

/** Seconds: half a minute before controllers start guests elsewhere. */
const FENCE_SECONDS = 270

/** Adds them to the program. They run until `signal` aborts. */
export function addRoles(program: Command, signal: AbortSignal): void {
  program.commandsGroup('Everything in one process, no Kubernetes needed:')
  addUp(program, signal)
  program.commandsGroup('Parts of an installation:')
  addApiServer(program, signal)
  addController(program, signal)
  addWorker(program, signal)
}

interface UpOptions extends AuditLogOptions, ImageGcOptions {
  data: string
  listen: string
  workers: number
  durability: 'full' | 'normal'
  host: string[]
  hostDisk: string[]
  bridge: string[]
  allowOrigin: string[]
  anonymousMetrics?: boolean
  qemuLogMaxsize: number
  stopGuests?: boolean
  logLevel: LogLevel
}

function addUp(program: Command, signal: AbortSignal): void {
  program
    .command('up')
    .description('serve the Kubernetes API, reconcile, and run VMs on this machine')
    .option('--data <dir>', 'where everything is kept', defaultDataDir())
    .option('--listen <address:port>', 'where to serve; port 0 takes a free one', '127.0.0.1:6443')
    .option('--host <name>', 'further name or address that clients use; may be repeated', collect, [])
    .option('--workers <n>', 'run guests in this many worker processes; 0: in this one', count, 0)
    .option('--host-disk <dir>', 'allow hostDisk volumes below this directory; may be repeated', collect, [])
    .option('--bridge <name>', 'allow guests on this bridge of the host; may be repeated', collect, [])
    .addOption(auditLogMaxsize())
    .addOption(auditLogMaxbackup())
    .addOption(qemuLogMaxsize())
    .addOption(imageGcHighThreshold())
    .addOption(imageMaximumGcAge())
    .addOption(allowOrigin())
    .addOption(anonymousMetrics())
    .addOption(
      new Option(
        '--durability <mode>',
        'full survives power loss; normal is faster and may lose the last moments',
      )
        .choices(['full', 'normal'])
        .default('full'),
    )
    .option('--stop-guests', 'shut guests down when the server ends; without it they go on running')
    .addOption(logLevel())
    .action((options: UpOptions) => runUp(options, signal))
}

async function runUp(options: UpOptions, signal: AbortSignal): Promise<void> {
  const { openEmbedded } = await import('./embedded.ts')
  const say = (text: string) => process.stdout.write(`${text}\n`)
  await using server = await openEmbedded({
    ...options,
    hosts: options.host,
    hostDiskPrefixes: options.hostDisk,
    bridges: options.bridge,
    allowedOrigins: options.allowOrigin,
    imageGc: options,
    log: openLog(options.logLevel),
    onProgress: say,
    signal,
  })
  say(`serving the Kubernetes API at ${server.url}`)
  say(`next:  export KUBECONFIG=${server.kubeconfig}  and  kubectl get vms -A`)
  await aborted(signal)
  if (!options.stopGuests) {
    say('stopping; guests go on running')
    return
  }
  say('shutting guests down; Ctrl+C leaves them running')
  const again = new AbortController()
  process.once('SIGINT', () => again.abort(new Error('not waited for')))
  await server.stopGuests(again.signal)
}

interface WorkerCommandOptions extends Omit<WorkerRoleOptions, 'log' | 'signal' | 'tls'>, WorkerTlsOptions {
  exitWithStdin?: boolean
  logLevel: LogLevel
}

function addWorker(program: Command, signal: AbortSignal): void {
  const command = program
    .command('worker')
    .description('run the guests of one node, for controllers and API servers to call')
    .requiredOption('--node <name>', 'name of the node')
    .requiredOption('--state <dir>', 'where guests are kept')
    .requiredOption('--run <dir>', 'where sockets stand; a short path')
    .requiredOption('--images <dir>', 'where container images are kept')
  addWorkerTlsOptions(command)
    .option('--allow <uri>', 'URI in the certificate of who may call; may be repeated', collect, [
      'spiffe://virtgate/controller',
      'spiffe://virtgate/apiserver',
    ])
    .option('--listen <address:port>', 'where to serve', '0.0.0.0:8186')
    .option(
      '--metrics-listen <address:port>',
      'where to serve /metrics to holders of a certificate for spiffe://virtgate/monitor, such as 0.0.0.0:8188',
    )
    .addOption(anonymousMetrics())
    .option('--host-disk <dir>', 'allow hostDisk volumes below this directory; may be repeated', collect, [])
    .option('--bridge <name>', 'allow guests on this bridge of the host; may be repeated', collect, [])
    .option('--backup-dir <dir>', 'allow backups below this directory; may be repeated', collect, [])
    .option(
      '--migration-address <ip>',
      'where guests from other nodes arrive; where it listens if that is one address',
    )
    .option(
      '--migration-network <name=ip>',
      'where they arrive if migrations.network of the KubeVirt object has this name; may be repeated',
      collect,
      [],
    )
    .option(
      '--fence-after <seconds>',
      'stop guests that may be started elsewhere when no leading controller was heard of for so long; 0: never',
      count,
      FENCE_SECONDS,
    )
    .option('--claims <dir>', 'where claims stand, as NAMESPACE/NAME; without it guests cannot use claims')
    .addOption(qemuLogMaxsize())
    .addOption(imageGcHighThreshold())
    .addOption(imageMaximumGcAge())
    .addOption(new Option('--exit-with-stdin', 'end when standard input does').hideHelp())
    .addOption(logLevel())
    .action((options: WorkerCommandOptions) => runWorker(options, signal))
}

async function runWorker(options: WorkerCommandOptions, signal: AbortSignal): Promise<void> {
  const { openWorkerRole } = await import('./worker.ts')
  const closed = new AbortController()
  using _stdin = options.exitWithStdin ? listenToStdin(() => closed.abort()) : undefined
  const stop = AbortSignal.any([signal, closed.signal])
  await using worker = await openWorkerRole({
    ...options,
    tls: workerTls(options),
    log: openLog(options.logLevel),
    signal: stop,
  })
  const { port: listening, metricsUrl } = worker
  process.stdout.write(`${JSON.stringify({ listening, ...(metricsUrl && { metrics: metricsUrl }) })}\n`)
  await aborted(stop)
}

/** Calls `onClose` once standard input has closed. Listened to, it keeps the process from ending: dispose of this. */
function listenToStdin(onClose: () => void): Disposable {
  process.stdin.on('close', onClose).resume()
  return { [Symbol.dispose]: () => void process.stdin.destroy() }
}
