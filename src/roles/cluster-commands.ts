/** The commands of the roles that work for a Kubernetes API. */
import type { Command } from 'commander'
import { TLS_SECRETS } from '../kinds/installation.ts'
import {
  addPolicyOptions,
  metricsSource,
  policyOf,
  servingSource,
  tlsSource,
  type PolicyOptions,
} from './certificate-options.ts'
import type { ClusterOptions } from './cluster.ts'
import {
  aborted,
  allowOrigin,
  anonymousMetrics,
  auditLogMaxbackup,
  auditLogMaxsize,
  collect,
  count,
  logLevel,
} from './command-options.ts'
import { openAuditLog, openLog, type AuditLogOptions, type LogLevel } from './log.ts'
import { ELECTION_TIMES } from '../lib/leadership.ts'
import type { TlsSource } from './watched-tls.ts'
import type { MigrationAuthorityFiles } from './migration-certificates.ts'

/** Source: security C9. */
const DRAIN_SECONDS = 60

/** As Kubernetes evicts pods from nodes that are lost. */
const FAILOVER_SECONDS = 300

/** Options that `apiserver` and `controller` share. */
interface ClusterCommandOptions extends ClusterOptions {
  node: string[]
  nodes?: string
  installNamespace: string
  workerCa?: string
  logLevel: LogLevel
}

/** Which workers there are. `kubeconfig` and `context` are options of the whole program. */
function addNodeOptions(command: Command): Command {
  return command
    .option(
      '--node <name=address:port>',
      'a node and where its worker listens; may be repeated. Without it and --nodes, those that are registered',
      collect,
      [],
    )
    .option('--nodes <file>', 'instead: YAML list of {name, address: "ADDRESS:PORT"}, read again on change')
    .option(
      '--install-namespace <name>',
      'where the KubeVirt object, our service accounts and the Leases of workers are',
      'kubevirt',
    )
    .option('--worker-ca <file>', 'authority of the certificates of workers, PEM')
}

interface ApiServerCommandOptions extends ClusterCommandOptions, AuditLogOptions {
  listen: string
  tlsCert?: string
  tlsKey?: string
  clientCa?: string
  webhookListen?: string
  webhookClientCa?: string
  workerCert?: string
  workerKey?: string
  drain: number
  allowOrigin: string[]
  anonymousMetrics?: boolean
  auditLog?: string
}

/** Adds `apiserver`. */
export function addApiServer(program: Command, signal: AbortSignal): void {
  const command = program
    .command('apiserver')
    .summary('serve the subresource API for VMs that a Kubernetes API holds')
    .description(
      'Serves the subresource API (start, stop, console, …) for VMs that a Kubernetes API holds. That API is found ' +
        "by --kubeconfig, KUBECONFIG or a pod's own credentials; it says who callers are and what they may do. Requests " +
        'that it forwards are believed as its ConfigMap kube-system/extension-apiserver-authentication says.',
    )
    .option('--listen <address:port>', 'where to serve', '0.0.0.0:8443')
    .option(
      '--tls-cert <file>',
      `certificate shown to clients, PEM; without it that of the Secret ${TLS_SECRETS.serving}`,
    )
    .option('--tls-key <file>', 'its key, PEM')
    .option(
      '--client-ca <file>',
      'authority whose client certificates are believed, PEM, besides those of kube-apiserver',
    )
    .option(
      '--webhook-listen <address:port>',
      'where to serve the admission webhooks, with the same certificate',
    )
    .option(
      '--webhook-client-ca <file>',
      'authority of the client certificates that the webhooks demand, PEM; without it whoever reaches them is answered, ' +
        'and can keep room in quotas for two minutes by a review that is made up',
    )
    .option(
      '--worker-cert <file>',
      `certificate shown to workers, PEM; without it that of the Secret ${TLS_SECRETS.apiserver}`,
    )
    .option('--worker-key <file>', 'its key, PEM')
  addNodeOptions(command)
    .option(
      '--drain <seconds>',
      'how long open consoles may go on when the server ends',
      count,
      DRAIN_SECONDS,
    )
    .option('--audit-log <file>', 'where it is written who did what; to standard error without it')
    .addOption(auditLogMaxsize())
    .addOption(auditLogMaxbackup())
    .addOption(allowOrigin())
    .addOption(anonymousMetrics())
    .addOption(logLevel())
    .action((_options: object, self: Command) => runApiServer(self.optsWithGlobals(), signal))
}

async function runApiServer(options: ApiServerCommandOptions, signal: AbortSignal): Promise<void> {
  const { openApiServerRole } = await import('./apiserver.ts')
  await using server = await openApiServerRole({
    ...options,
    serving: servingSource(options.tlsCert, options.tlsKey),
    tls: tlsSource(
      [
        ['--worker-cert', options.workerCert],
        ['--worker-key', options.workerKey],
        ['--worker-ca', options.workerCa],
      ],
      TLS_SECRETS.apiserver,
    ),
    drainSeconds: options.drain,
    allowedOrigins: options.allowOrigin,
    audit: openAuditLog(options.auditLog, options),
    log: openLog(options.logLevel),
    signal,
  })
  const webhooks =
    server.webhookUrl === undefined ? '' : ` and the admission webhooks at ${server.webhookUrl}`
  process.stdout.write(`serving the subresource API at ${server.url}${webhooks}\n`)
  await aborted(signal)
}

interface ControllerCommandOptions extends ClusterCommandOptions, MigrationAuthorityFiles, PolicyOptions {
  tlsCert?: string
  tlsKey?: string
  ownNodes?: boolean
  leaseDuration: number
  renewDeadline: number
  retryPeriod: number
  failoverAfter: number
  healthListen?: string
  enrollListen?: string
  metricsListen?: string
  metricsCert?: string
  metricsKey?: string
  anonymousMetrics?: boolean
}

/** Adds `controller`. */
export function addController(program: Command, signal: AbortSignal): void {
  const command = program
    .command('controller')
    .summary('make workers run the VMs that a Kubernetes API holds')
    .description(
      'Makes workers run the VMs that a Kubernetes API holds. That API is found by --kubeconfig, KUBECONFIG or a ' +
        "pod's own credentials. Several such processes agree by a Lease on the one that does it. Without certificates in " +
        'files they keep those of the installation in Secrets: make and renew them, and tell kube-apiserver of their ' +
        'authority.',
    )
    .option(
      '--tls-cert <file>',
      'certificate shown to workers, PEM; without it, certificates are kept in Secrets',
    )
    .option('--tls-key <file>', 'its key, PEM')
  addNodeOptions(command)
    .option(
      '--own-nodes',
      'create Node objects and keep them, where no kubelet does; takes the rights of apiservice/generated/own-nodes.yaml',
    )
    .option(
      '--migration-ca-cert <file>',
      'authority of certificates of live migrations, PEM; without it the one in Secrets, or one made up',
    )
    .option('--migration-ca-key <file>', 'its key, PEM')
    .option(
      '--lease-duration <seconds>',
      'take over from a leader that has not renewed its Lease for so long',
      count,
      ELECTION_TIMES.leaseMs / 1000,
    )
    .option(
      '--renew-deadline <seconds>',
      'lead no more when renewing the Lease has failed for so long',
      count,
      ELECTION_TIMES.renewMs / 1000,
    )
    .option(
      '--retry-period <seconds>',
      'time between attempts to renew or to take over',
      count,
      ELECTION_TIMES.retryMs / 1000,
    )
    .option(
      '--failover-after <seconds>',
      'start guests elsewhere when their node was not heard of for so long and has stopped them (see --fence-after of ' +
        'workers: at least 30 s less); 0: never',
      count,
      FAILOVER_SECONDS,
    )
    .option(
      '--health-listen <address:port>',
      'where to serve /livez and /readyz, over HTTP; ?verbose says who leads',
    )
    .option('--enroll-listen <address:port>', 'where workers get their certificates, such as 0.0.0.0:8187')
    .option('--metrics-listen <address:port>', 'where to serve /metrics, such as 0.0.0.0:8188')
    .option(
      '--metrics-cert <file>',
      `certificate shown there, PEM; without it that of the Secret ${TLS_SECRETS.enrolment}`,
    )
    .option('--metrics-key <file>', 'its key, PEM')
    .addOption(anonymousMetrics())
  addPolicyOptions(command)
    .addOption(logLevel())
    .action((_options: object, self: Command) => runController(self.optsWithGlobals(), signal))
}

/** Throws `RangeError` where half of a pair is named, or one that is shown nowhere, or none that anybody makes. */
function metricsOf({ metricsListen, metricsCert, metricsKey }: ControllerCommandOptions, tls: TlsSource) {
  if (metricsListen !== undefined) {
    const metricsTls = metricsSource(metricsCert, metricsKey)
    if (!('secret' in metricsTls) || 'secret' in tls) return { metricsTls }
    throw new RangeError(
      '--metrics-listen takes --metrics-cert and --metrics-key, as no Secrets are kept with --tls-cert',
    )
  }
  if (metricsCert === undefined && metricsKey === undefined) return {}
  throw new RangeError('--metrics-cert and --metrics-key take --metrics-listen')
}

async function runController(options: ControllerCommandOptions, signal: AbortSignal): Promise<void> {
  const { openControllerRole } = await import('./controller.ts')
  const tls = tlsSource(
    [
      ['--tls-cert', options.tlsCert],
      ['--tls-key', options.tlsKey],
      ['--worker-ca', options.workerCa],
    ],
    TLS_SECRETS.controller,
  )
  await using controller = await openControllerRole({
    ...options,
    tls,
    ...('secret' in tls && { certificates: policyOf(options) }),
    ...metricsOf(options, tls),
    ownNodes: options.ownNodes ?? false,
    failoverAfterMs: options.failoverAfter === 0 ? undefined : options.failoverAfter * 1000,
    election: {
      leaseMs: options.leaseDuration * 1000,
      renewMs: options.renewDeadline * 1000,
      retryMs: options.retryPeriod * 1000,
    },
    log: openLog(options.logLevel),
    signal,
  })
  const health = controller.healthUrl === undefined ? '' : `, health at ${controller.healthUrl}`
  const enrolment = controller.enrolUrl === undefined ? '' : `, enrolling workers at ${controller.enrolUrl}`
  const metrics = controller.metricsUrl === undefined ? '' : `, metrics at ${controller.metricsUrl}`
  process.stdout.write(
    `reconciling the VMs of ${controller.server} when leading${health}${enrolment}${metrics}\n`,
  )
  await aborted(signal)
}
