import { looksLikeJoinToken, parseJoinToken, type KeptToken } from '../../kinds/join-token.ts'
import { removeTokens, type Installation } from './secret.ts'

/** Takes tokens away, by their ids or as they were printed, so that nobody enrols with them; all or none. Answers what to say. */
export async function revokeTokens(installation: Installation, names: readonly string[]): Promise<string> {
  const ids = [...new Set(names.map(readId))]
  const removed = await removeTokens(installation, ids, (tokens) => {
    const unknown = ids.filter((id) => !tokens.has(id))
    if (unknown.length === 0) return
    throw new Error(
      `there is no join token ${unknown.join(', ')} in ${installation.namespace}: "virtgate token list" names those there are`,
    )
  })
  return ids.map((id) => `${describe(id, removed.get(id))}\n`).join('')
}

function readId(name: string): string {
  return looksLikeJoinToken(name) ? parseJoinToken(name).id : name
}

function describe(id: string, kept: KeptToken | undefined): string {
  if (!kept?.used) return `${id} is revoked`
  return `${id} is revoked, but was used: the worker of ${kept.used.node} keeps the certificate that it got for it`
}
