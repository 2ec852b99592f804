import type { WorkerParts } from '../parts.ts'
import { MigrationFailed } from './failure.ts'

/**
 * Where guests are waited for that come from another worker of this machine: a part of the loopback network of its
 * own, since the rules of `network/loopback-guard.ts` keep users of guests away from all the rest of it.
 */
export const LOCAL_MIGRATION_ADDRESS = '127.87.0.1'
export const LOCAL_MIGRATION_CIDR = '127.87.0.0/16'

/** Where a guest is waited for that is to come over that network. Throws `MigrationFailed` for one that is not known here. */
export function addressOn(
  network: string | undefined,
  {
    nodeName,
    migrationAddress,
    migrationNetworks,
  }: Pick<WorkerParts, 'nodeName' | 'migrationAddress' | 'migrationNetworks'>,
): string {
  if (network === undefined) return migrationAddress
  const address = Object.hasOwn(migrationNetworks, network) ? migrationNetworks[network] : undefined
  if (address !== undefined) return address
  throw new MigrationFailed(
    'incompatible-target',
    `node ${nodeName} has no address on the network "${network}", which migrations.network names: start its worker ` +
      `with --migration-network ${network}=ADDRESS, or take the field out of the KubeVirt configuration`,
  )
}
