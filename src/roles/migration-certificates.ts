import { readFile } from 'node:fs/promises'
import { createAuthority, type KeyPair } from '../../certs/issue.ts'
import { issueMigration } from '../../certs/migration.ts'
import type { MigrationCertificates } from '../controllers/parts.ts'

/** Where the authority of migrations stands; PEM files, read at each issue. */
export interface MigrationAuthorityFiles {
  migrationCaCert?: string
  migrationCaKey?: string
}

/** The authority of a process outlives the longest-lived of its leaves by far. */
const DAYS = 3650

/**
 * Issues the certificates of migrations by the authority in those files; without files by the one of the installation,
 * where that is ours, or else by one of this process alone: then a migration whose target was made ready before a restart
 * fails, and can be repeated.
 *
 * Throws `RangeError` where one file is named and not the other.
 */
export function openMigrationCertificates(
  { migrationCaCert: cert, migrationCaKey: key }: MigrationAuthorityFiles,
  installation?: () => Promise<KeyPair>,
): MigrationCertificates {
  if ((cert === undefined) !== (key === undefined)) {
    throw new RangeError('give both --migration-ca-cert and --migration-ca-key, or neither')
  }
  let own: Promise<KeyPair> | undefined
  const authority = async (): Promise<KeyPair> => {
    if (cert !== undefined && key !== undefined) {
      return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') }
    }
    if (installation) return installation()
    own ??= createAuthority({ commonName: 'virtgate-migration-ca', now: new Date(), days: DAYS })
    return own
  }
  return { issue: async (migrationUid) => issueMigration(await authority(), migrationUid, new Date()) }
}
