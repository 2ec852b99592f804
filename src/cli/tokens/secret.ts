/** The Secret in which an installation keeps its join tokens: by the id of each, nothing that it could be used with. */
import type { Secret } from '../../kinds/core.ts'
import { JOIN_TOKENS_SECRET } from '../../kinds/installation.ts'
import { parseKeptToken, type KeptToken } from '../../kinds/join-token.ts'
import type { KubeClient } from '../../kube/client.ts'
import { hasReason, unlessNotFound } from '../../lib/errors.ts'
import { retryRaces } from '../../lib/races.ts'

/** An installation: its API, and the namespace that it is in. */
export interface Installation {
  client: KubeClient
  namespace: string
  signal: AbortSignal
}

/** All tokens as they were at one time. */
export interface KeptTokens {
  resourceVersion: string
  /** By id; `undefined` for what cannot be read. */
  byId: Map<string, KeptToken | undefined>
}

/** `undefined` where there has never been one. */
export async function readTokens({
  client,
  namespace,
  signal,
}: Installation): Promise<KeptTokens | undefined> {
  const path = `${secretsOf(namespace)}/${JOIN_TOKENS_SECRET}`
  const found = await unlessNotFound(client.call<Secret>({ method: 'GET', path, signal }))
  if (!found) return undefined
  const tokens = Object.entries(found.data ?? {}).map(([id, text]): [string, KeptToken | undefined] => [
    id,
    parseKeptToken(Buffer.from(text, 'base64').toString('utf8')),
  ])
  return { resourceVersion: found.metadata.resourceVersion, byId: new Map(tokens) }
}

/** Keeps a token. Makes the Secret where there is none. */
export async function keepToken(installation: Installation, id: string, kept: KeptToken): Promise<void> {
  const { client, namespace, signal } = installation
  const data = { [id]: Buffer.from(JSON.stringify(kept)).toString('base64') }
  try {
    await patch(installation, { data })
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error
    const metadata = { name: JOIN_TOKENS_SECRET, namespace }
    const body = { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data }
    try {
      await client.call<Secret>({ method: 'POST', path: secretsOf(namespace), body, signal })
    } catch (race) {
      if (!hasReason(race, 'AlreadyExists')) throw race
      await patch(installation, { data })
    }
  }
}

/**
 * Takes tokens away, all or none; answers what was kept of them at the end. `check` sees what there is, and throws where
 * something is missing.
 */
export async function removeTokens(
  installation: Installation,
  ids: readonly string[],
  check: (tokens: KeptTokens['byId']) => void,
): Promise<KeptTokens['byId']> {
  // A controller may use up a token meanwhile, maybe one of these.
  return retryRaces(['Conflict'], async () => {
    const { resourceVersion, byId = new Map() } = (await readTokens(installation)) ?? {}
    check(byId)
    const data = Object.fromEntries(ids.map((id) => [id, null]))
    await patch(installation, { metadata: { resourceVersion }, data })
    return byId
  })
}

async function patch({ client, namespace, signal }: Installation, body: object): Promise<void> {
  await client.call<Secret>({
    method: 'PATCH',
    path: `${secretsOf(namespace)}/${JOIN_TOKENS_SECRET}`,
    contentType: 'application/merge-patch+json',
    body,
    signal,
  })
}

function secretsOf(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`
}
