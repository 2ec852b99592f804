import type { Command } from 'commander'
import type { ConfigMap, Secret } from '../../kinds/core.ts'
import { INSTALL_NAMESPACE, JOIN_TOKENS_SECRET, TRUST_CONFIGMAP_NAME } from '../../kinds/installation.ts'
import { createJoinToken, formatJoinToken, type KeptToken } from '../../kinds/join-token.ts'
import type { KubeClient } from '../../kube/client.ts'
import { formatTime } from '../../lib/clock.ts'
import { hasReason, StatusError } from '../../lib/errors.ts'
import { parseGoDuration } from '../../lib/go-duration.ts'
import { checkDns1123Subdomain } from '../../lib/names.ts'
import { keyHash, splitBundle } from '../../lib/pem.ts'
import { connect, type CommandContext, type ConnectOptions } from '../context.ts'

interface TokenOptions extends ConnectOptions {
  installNamespace: string
  node?: string
  ttl?: number
}

/** Adds `token create`, which lets a worker enrol. */
export function addToken(program: Command, context: CommandContext): void {
  program
    .command('token')
    .description('tokens with which workers join an installation')
    .command('create')
    .description('make a token with which one worker enrols, once; it is printed and kept nowhere')
    .option('--node <name>', 'the node it is for; without it, any that has no worker yet')
    .option('--ttl <duration>', 'how long it is good, such as 30m (default: 1h)', seconds)
    .option('--install-namespace <name>', 'where the installation is', INSTALL_NAMESPACE)
    .action((_options: object, self: Command) => createToken(self.optsWithGlobals<TokenOptions>(), context))
}

async function createToken(options: TokenOptions, context: CommandContext): Promise<void> {
  const { node, ttl = 3600, installNamespace: namespace } = options
  const [wrong] = node === undefined ? [] : checkDns1123Subdomain(node)
  if (wrong) throw new RangeError(`${JSON.stringify(node)} is no name of a node: ${wrong}`)
  const { client } = await connect(options, context)
  await using _closed = client
  const authorities = await readAuthorities(client, namespace, context.signal)
  const expires = formatTime(Date.now() + ttl * 1000)
  const { token, kept } = createJoinToken({ ...(node !== undefined && { node }), expires }, authorities)
  await keep(client, namespace, token.id, kept, context.signal)
  context.stdout.write(`${formatJoinToken(token)}\n`)
}

/** All that controllers may show at this time: one, or more while an authority is being replaced. */
async function readAuthorities(
  client: KubeClient,
  namespace: string,
  signal: AbortSignal,
): Promise<string[]> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps/${TRUST_CONFIGMAP_NAME}`
  try {
    const { data = {} } = await client.call<ConfigMap>({ method: 'GET', path, signal })
    const hashes = splitBundle(data['ca.crt'] ?? '').map(keyHash)
    if (hashes.length > 0) return hashes
  } catch (error) {
    if (!(error instanceof StatusError) || error.code !== 404) throw error
  }
  throw new Error(
    `the ConfigMap ${namespace}/${TRUST_CONFIGMAP_NAME} does not name an authority: start a controller that keeps the ` +
      'certificates of the installation, or name its namespace with --install-namespace',
  )
}

async function keep(
  client: KubeClient,
  namespace: string,
  id: string,
  kept: KeptToken,
  signal: AbortSignal,
): Promise<void> {
  const secrets = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`
  const data = { [id]: Buffer.from(JSON.stringify(kept)).toString('base64') }
  const patch = () =>
    client.call<Secret>({
      method: 'PATCH',
      path: `${secrets}/${JOIN_TOKENS_SECRET}`,
      contentType: 'application/merge-patch+json',
      body: { data },
      signal,
    })
  try {
    await patch()
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error
    const metadata = { name: JOIN_TOKENS_SECRET, namespace }
    const body = { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data }
    try {
      await client.call<Secret>({ method: 'POST', path: secrets, body, signal })
    } catch (race) {
      if (!hasReason(race, 'AlreadyExists')) throw race
      await patch()
    }
  }
}

function seconds(text: string): number {
  const value = parseGoDuration(text)
  if (value <= 0) throw new RangeError(`${text} is no duration above nothing`)
  return value
}
