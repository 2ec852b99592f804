import { hkdfSync } from 'node:crypto'

const LENGTH_BYTES = 32
/** What else is made of the same secret gets other keys. */
const PURPOSE = 'virtgate stream tickets'

/**
 * Keys of tickets, made of a secret that all API servers of an installation share and nobody else has. When it changes,
 * the one before is believed for as long as it is the last one: other servers may learn of the change later.
 */
export function buildTicketKeys(secret: () => string): () => readonly Uint8Array[] {
  let known: string | undefined
  let keys: Uint8Array[] = []
  return () => {
    const now = secret()
    if (now !== known) {
      const key = new Uint8Array(hkdfSync('sha256', now, '', PURPOSE, LENGTH_BYTES))
      keys = [key, ...keys.slice(0, 1)]
      known = now
    }
    return keys
  }
}
