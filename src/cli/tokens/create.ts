import type { ConfigMap } from '../../kinds/core.ts'
import { TRUST_CONFIGMAP_NAME } from '../../kinds/installation.ts'
import { createJoinToken, formatJoinToken } from '../../kinds/join-token.ts'
import { formatTime } from '../../lib/clock.ts'
import { unlessNotFound } from '../../lib/errors.ts'
import { checkDns1123Subdomain } from '../../lib/names.ts'
import { keyHash, splitBundle } from '../../lib/pem.ts'
import { keepToken, type Installation } from './secret.ts'

/** Makes a token, for one node or any, that is good for so long; answers what a worker is started with. */
export async function createToken(
  installation: Installation,
  { node, ttlSeconds }: { node?: string | undefined; ttlSeconds: number },
): Promise<string> {
  const [wrong] = node === undefined ? [] : checkDns1123Subdomain(node)
  if (wrong) throw new RangeError(`${JSON.stringify(node)} is no name of a node: ${wrong}`)
  const authorities = await readAuthorities(installation)
  const expires = formatTime(Date.now() + ttlSeconds * 1000)
  const { token, kept } = createJoinToken({ ...(node !== undefined && { node }), expires }, authorities)
  await keepToken(installation, token.id, kept)
  return formatJoinToken(token)
}

/** All that controllers may show at this time: one, or more while an authority is being replaced. */
async function readAuthorities({ client, namespace, signal }: Installation): Promise<string[]> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps/${TRUST_CONFIGMAP_NAME}`
  const found = await unlessNotFound(client.call<ConfigMap>({ method: 'GET', path, signal }))
  const hashes = splitBundle(found?.data?.['ca.crt'] ?? '').map(keyHash)
  if (hashes.length > 0) return hashes
  throw new Error(
    `the ConfigMap ${namespace}/${TRUST_CONFIGMAP_NAME} does not name an authority: start a controller that keeps the ` +
      'certificates of the installation, or name its namespace with --install-namespace',
  )
}
