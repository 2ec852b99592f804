/** The commands that run a part of virtgate: `up` and the roles of a cluster. */
import { Option, type Command } from 'commander'
import { openApiServerRole } from './apiserver.ts'
import type { ClusterOptions } from './cluster.ts'
import { openControllerRole } from './controller.ts'
import { defaultDataDir } from './data-dir.ts'
import { openEmbedded } from './embedded.ts'
import { LOG_LEVELS, openLog, type LogLevel } from './log.ts'
import { openWorkerRole, type WorkerRoleOptions } from './worker.ts'

/** Adds them to the program. They run until `signal` aborts. */
export function addRoles(program: Command, signal: AbortSignal): void {
  program.commandsGroup('Everything in one process, no Kubernetes needed:')
  addUp(program, signal)
  program.commandsGroup('Parts of an installation:')
  addApiServer(program, signal)
  addController(program, signal)
  addWorker(program, signal)
}

function logLevel(): Option {
  return new Option('--log-level <level>', 'how much is logged to standard error, as JSON lines')
    .choices(LOG_LEVELS)
    .default('warn')
}

function count(text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 0) throw new RangeError(`${text} is no count`)
  return number
}

function collect(value: string, previous: string[]): string[] {
  return [...previous, value]
}

interface UpOptions {
  data: string
  listen: string
  workers: number
  durability: 'full' | 'normal'
  host: string[]
  hostDisk: string[]
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
  const say = (text: string) => process.stdout.write(`${text}\n`)
  await using server = await openEmbedded({
    ...options,
    hosts: options.host,
    hostDiskPrefixes: options.hostDisk,
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

/** Options that `apiserver` and `controller` share. */
interface ClusterCommandOptions extends ClusterOptions {
  node: string[]
  nodes?: string
  workerCa: string
  logLevel: LogLevel
}

/** Which workers there are. `kubeconfig` and `context` are options of the whole program. */
function addNodeOptions(command: Command): Command {
  return command
    .option('--node <name=address:port>', 'a node and where its worker listens; may be repeated', collect, [])
    .option('--nodes <file>', 'instead: YAML list of {name, address: "ADDRESS:PORT"}, read again on change')
    .requiredOption('--worker-ca <file>', 'authority of the certificates of workers, PEM')
}

interface ApiServerCommandOptions extends ClusterCommandOptions {
  listen: string
  tlsCert: string
  tlsKey: string
  clientCa?: string
  workerCert: string
  workerKey: string
  drain: number
}

function addApiServer(program: Command, signal: AbortSignal): void {
  const command = program
    .command('apiserver')
    .description(
      'serve the subresource API (start, stop, console, …) for VMs that a Kubernetes API holds; that API is found by ' +
        "--kubeconfig, KUBECONFIG or a pod's own credentials, and says who callers are and what they may do",
    )
    .option('--listen <address:port>', 'where to serve', '0.0.0.0:8443')
    .requiredOption('--tls-cert <file>', 'certificate shown to clients, PEM')
    .requiredOption('--tls-key <file>', 'its key, PEM')
    .option(
      '--client-ca <file>',
      'authority whose client certificates are believed, PEM; else tokens alone are',
    )
    .requiredOption('--worker-cert <file>', 'certificate shown to workers, PEM')
    .requiredOption('--worker-key <file>', 'its key, PEM')
  addNodeOptions(command)
    .option('--drain <seconds>', 'how long open consoles may go on when the server ends', count, 0)
    .addOption(logLevel())
    .action((_options: object, self: Command) => runApiServer(self.optsWithGlobals(), signal))
}

async function runApiServer(options: ApiServerCommandOptions, signal: AbortSignal): Promise<void> {
  await using server = await openApiServerRole({
    ...options,
    servingCert: options.tlsCert,
    servingKey: options.tlsKey,
    tls: { cert: options.workerCert, key: options.workerKey, ca: options.workerCa },
    drainSeconds: options.drain,
    log: openLog(options.logLevel),
    signal,
  })
  process.stdout.write(`serving the subresource API at ${server.url}\n`)
  await aborted(signal)
}

interface ControllerCommandOptions extends ClusterCommandOptions {
  tlsCert: string
  tlsKey: string
  ownNodes?: boolean
}

function addController(program: Command, signal: AbortSignal): void {
  const command = program
    .command('controller')
    .description(
      'make workers run the VMs that a Kubernetes API holds; that API is found by --kubeconfig, KUBECONFIG or a ' +
        "pod's own credentials. One such process at a time",
    )
    .requiredOption('--tls-cert <file>', 'certificate shown to workers, PEM')
    .requiredOption('--tls-key <file>', 'its key, PEM')
  addNodeOptions(command)
    .option('--own-nodes', 'create Node objects and keep them, where no kubelet does')
    .addOption(logLevel())
    .action((_options: object, self: Command) => runController(self.optsWithGlobals(), signal))
}

async function runController(options: ControllerCommandOptions, signal: AbortSignal): Promise<void> {
  await using controller = await openControllerRole({
    ...options,
    tls: { cert: options.tlsCert, key: options.tlsKey, ca: options.workerCa },
    ownNodes: options.ownNodes ?? false,
    log: openLog(options.logLevel),
    signal,
  })
  process.stdout.write(`reconciling the VMs of ${controller.server}\n`)
  await aborted(signal)
}

interface WorkerCommandOptions extends Omit<WorkerRoleOptions, 'log' | 'signal'> {
  exitWithStdin?: boolean
  logLevel: LogLevel
}

function addWorker(program: Command, signal: AbortSignal): void {
  program
    .command('worker')
    .description('run the guests of one node, for controllers and API servers to call')
    .requiredOption('--node <name>', 'name of the node')
    .requiredOption('--state <dir>', 'where guests are kept')
    .requiredOption('--run <dir>', 'where sockets stand; a short path')
    .requiredOption('--images <dir>', 'where container images are kept')
    .requiredOption('--tls-cert <file>', 'certificate of this worker, PEM')
    .requiredOption('--tls-key <file>', 'its key, PEM')
    .requiredOption('--client-ca <file>', 'authority of those who may call, PEM')
    .option('--allow <uri>', 'URI in the certificate of who may call; may be repeated', collect, [
      'spiffe://virtgate/controller',
      'spiffe://virtgate/apiserver',
    ])
    .option('--listen <address:port>', 'where to serve', '0.0.0.0:8186')
    .option('--host-disk <dir>', 'allow hostDisk volumes below this directory; may be repeated', collect, [])
    .addOption(new Option('--exit-with-stdin', 'end when standard input does').hideHelp())
    .addOption(logLevel())
    .action((options: WorkerCommandOptions) => runWorker(options, signal))
}

async function runWorker(options: WorkerCommandOptions, signal: AbortSignal): Promise<void> {
  const closed = new AbortController()
  if (options.exitWithStdin) {
    process.stdin.on('close', () => closed.abort()).resume()
  }
  const stop = AbortSignal.any([signal, closed.signal])
  await using worker = await openWorkerRole({ ...options, log: openLog(options.logLevel), signal: stop })
  process.stdout.write(`${JSON.stringify({ listening: worker.port })}\n`)
  await aborted(stop)
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => resolve(), { once: true })
  await promise
}
