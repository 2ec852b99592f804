/** A part of virtgate that calls another one, or is called; a `monitor` reads metrics, and may do nothing else. */
export type InternalRole = { role: 'controller' | 'apiserver' | 'monitor' } | { role: 'worker'; node: string }

const TRUST_DOMAIN = 'spiffe://virtgate/'

/**
 * The URI in the certificate of a part of virtgate, such as `spiffe://virtgate/worker/node01`. Whoever accepts a
 * connection decides by it, so that one part's certificate is of no use as another's.
 */
export function roleUri(who: InternalRole): string {
  return who.role === 'worker'
    ? `${TRUST_DOMAIN}worker/${encodeURIComponent(who.node)}`
    : TRUST_DOMAIN + who.role
}

/** The node in a worker's URI; `undefined` for any other. */
export function nodeOfUri(uri: string): string | undefined {
  const prefix = `${TRUST_DOMAIN}worker/`
  if (!uri.startsWith(prefix)) return undefined
  const node = decodeURIComponent(uri.slice(prefix.length))
  return roleUri({ role: 'worker', node }) === uri ? node : undefined
}
