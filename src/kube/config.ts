import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { yaml } from '../lib/yaml.ts'

/** What it takes to call one Kubernetes API as one user. */
export interface ClusterConfig {
  /** Base URL without a trailing slash; may have a path. */
  server: string
  /** Namespace where the caller names none. */
  namespace: string
  tls: ClientTls
  /** The bearer token of the moment, read again as often as its file may have changed. */
  token(): Promise<string | undefined>
}

/** TLS options as Node spells them; all PEM. */
export interface ClientTls {
  ca?: string
  cert?: string
  key?: string
  servername?: string
  rejectUnauthorized?: false
}

/** The kubeconfig cannot be used; the message says which part and what to do. */
export class KubeconfigError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'KubeconfigError'
  }
}

interface Named {
  name?: string
}
interface Cluster extends Named {
  cluster?: Record<string, unknown>
}
interface Context extends Named {
  context?: { cluster?: string; user?: string; namespace?: string }
}
interface User extends Named {
  user?: Record<string, unknown>
}
interface Kubeconfig {
  clusters?: Cluster[]
  contexts?: Context[]
  users?: User[]
  'current-context'?: string
}

/** Ways to identify oneself that take another program or a login flow: left to a library, loaded only then. */
const PLUGINS = ['exec', 'auth-provider']

/**
 * Reads a kubeconfig: `path`, else `$KUBECONFIG` (its first file that exists), else `~/.kube/config`. Throws
 * `KubeconfigError`. Source: "Organizing Cluster Access Using kubeconfig Files" in the Kubernetes documentation.
 */
export async function loadKubeconfig(options: {
  path?: string | undefined
  context?: string | undefined
  env?: NodeJS.ProcessEnv
}): Promise<ClusterConfig> {
  const env = options.env ?? process.env
  const path = options.path ?? firstOf(env.KUBECONFIG) ?? join(homedir(), '.kube', 'config')
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new KubeconfigError(
      `cannot read the kubeconfig ${path}: name another with --kubeconfig or KUBECONFIG. ` +
        'An embedded server writes one into its data directory.',
      error,
    )
  })
  return readKubeconfig(text, path, options.context)
}

async function readKubeconfig(
  text: string,
  path: string,
  wanted: string | undefined,
): Promise<ClusterConfig> {
  // An empty file parses to null.
  const config: Kubeconfig = yaml().parse(text, { version: '1.1' }) ?? {}
  const name = wanted ?? config['current-context']
  const context = config.contexts?.find((entry) => entry.name === name)?.context
  if (!context) throw new KubeconfigError(`${path} has no context "${name ?? ''}"`)
  const cluster = config.clusters?.find((entry) => entry.name === context.cluster)?.cluster
  if (!cluster) throw new KubeconfigError(`${path} has no cluster "${context.cluster ?? ''}"`)
  const user = config.users?.find((entry) => entry.name === context.user)?.user ?? {}
  if ('proxy-url' in cluster) {
    throw new KubeconfigError(
      `${path} uses "proxy-url", which is not supported: reach ${String(cluster.server)} directly`,
    )
  }
  const base = dirname(resolve(path))
  return {
    server: stringOf(cluster.server, 'server', path).replace(/\/+$/, ''),
    namespace: context.namespace ?? 'default',
    tls: await readTls(cluster, user, base),
    token: PLUGINS.some((plugin) => plugin in user) ? await tokenByPlugin(text, name) : tokenOf(user, base),
  }
}

/**
 * Tokens from an exec plugin or an identity provider. @kubernetes/client-node costs 0.3 s and 88 MB, so it is loaded
 * for such kubeconfigs only.
 */
async function tokenByPlugin(
  text: string,
  context: string | undefined,
): Promise<() => Promise<string | undefined>> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  config.loadFromString(text)
  if (context) config.setCurrentContext(context)
  return async () => {
    const options: { headers?: Record<string, string> } = {}
    await config.applyToHTTPSOptions(options)
    return options.headers?.Authorization?.replace(/^Bearer /, '')
  }
}

async function readTls(
  cluster: Record<string, unknown>,
  user: Record<string, unknown>,
  base: string,
): Promise<ClientTls> {
  const ca = await pemOf(cluster, 'certificate-authority', base)
  const cert = await pemOf(user, 'client-certificate', base)
  const key = await pemOf(user, 'client-key', base)
  const servername = cluster['tls-server-name']
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(typeof servername === 'string' && { servername }),
    ...(cluster['insecure-skip-tls-verify'] === true && { rejectUnauthorized: false as const }),
  }
}

/** PEM text that is given as base64 in `<field>-data` or as a file in `<field>`. */
async function pemOf(
  from: Record<string, unknown>,
  field: string,
  base: string,
): Promise<string | undefined> {
  const data = from[`${field}-data`]
  if (typeof data === 'string' && data !== '') return Buffer.from(data, 'base64').toString('utf8')
  const file = from[field]
  return typeof file === 'string' && file !== '' ? readFile(resolve(base, file), 'utf8') : undefined
}

function tokenOf(user: Record<string, unknown>, base: string): () => Promise<string | undefined> {
  const { token, tokenFile } = user
  if (typeof tokenFile === 'string') {
    // Read at each call: such files are rotated, and a call costs far more than the read.
    return async () => (await readFile(resolve(base, tokenFile), 'utf8')).trim()
  }
  return async () => (typeof token === 'string' ? token : undefined)
}

function stringOf(value: unknown, field: string, path: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw new KubeconfigError(`${path}: the cluster has no "${field}"`)
}

function firstOf(list: string | undefined): string | undefined {
  return list?.split(':').find((entry) => entry !== '')
}
