import { issue, type KeyPair } from './issue.ts'

/** One side's certificate of one migration, with the authority of both and the name of the other side; PEM. */
export interface MigrationSide extends KeyPair {
  ca: string
  peerName: string
}

/** An hour, in days: connections are made at the beginning. Source: contract worker-qemu 5.1. */
const LIFE_DAYS = 1 / 24

/**
 * Certificates by which the two QEMUs of a migration know each other, and nobody else: each is for that migration
 * alone. QEMU insists on `keyEncipherment`; it looks for the name that it was told in the server's DNS names.
 */
export async function issueMigration(
  authority: KeyPair,
  migrationUid: string,
  now: Date,
): Promise<{ source: MigrationSide; target: MigrationSide }> {
  const name = `mig-${migrationUid}`
  const [source, target] = [`${name}-src`, `${name}-dst`]
  const common = { keyEncipherment: true, now, days: LIFE_DAYS }
  const [client, server] = await Promise.all([
    issue(authority, { ...common, commonName: source, usage: 'client' }),
    issue(authority, { ...common, commonName: target, usage: 'server', dnsNames: [target, name] }),
  ])
  return {
    source: { ...client, ca: authority.cert, peerName: target },
    target: { ...server, ca: authority.cert, peerName: source },
  }
}
