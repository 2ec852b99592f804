import { isRecord } from '../../lib/json.ts'
import { isQuantity, quantityToBytes } from '../../lib/quantity.ts'
import type { KubeVirtConfiguration } from '../../kinds/configuration.ts'
import { DRAIN_TAINT_KEY } from '../../kinds/migration.ts'
import type { MigrationConfiguration, MigrationPolicy } from '../../kinds/migration.ts'
import type { MigrationOptions } from '../../rpc/actions.ts'

/** How guests are moved where nobody says otherwise. Source: contract worker-qemu 5.4, subresources 7.6. */
export const DEFAULTS = {
  allowAutoConverge: false,
  allowPostCopy: false,
  allowWorkloadDisruption: false,
  bandwidthPerMigration: '0',
  completionTimeoutPerGiB: 150,
  disableTLS: false,
  maxDowntimeMs: 900,
  nodeDrainTaintKey: DRAIN_TAINT_KEY,
  parallelMigrationsPerCluster: 5,
  parallelOutboundMigrationsPerNode: 2,
  progressTimeout: 150,
  unsafeMigrationOverride: false,
} as const satisfies MigrationConfiguration

/** Settings of the cluster: `migrations` of the KubeVirt object over the defaults. What makes no sense is left aside. */
export function migrationSettings({ migrations }: KubeVirtConfiguration): {
  [Name in keyof typeof DEFAULTS]: NonNullable<MigrationConfiguration[Name]>
} & Pick<MigrationConfiguration, 'network'> {
  const given = isRecord(migrations) ? migrations : {}
  const network = text(given['network'], '')
  return {
    allowAutoConverge: flag(given['allowAutoConverge'], DEFAULTS.allowAutoConverge),
    allowPostCopy: flag(given['allowPostCopy'], DEFAULTS.allowPostCopy),
    allowWorkloadDisruption: flag(given['allowWorkloadDisruption'], flag(given['allowPostCopy'], false)),
    bandwidthPerMigration: bandwidth(given['bandwidthPerMigration']) ?? DEFAULTS.bandwidthPerMigration,
    completionTimeoutPerGiB: seconds(given['completionTimeoutPerGiB'], DEFAULTS.completionTimeoutPerGiB),
    disableTLS: flag(given['disableTLS'], DEFAULTS.disableTLS),
    maxDowntimeMs: count(given['maxDowntimeMs'], DEFAULTS.maxDowntimeMs),
    ...(network !== '' && { network }),
    nodeDrainTaintKey: text(given['nodeDrainTaintKey'], DEFAULTS.nodeDrainTaintKey),
    parallelMigrationsPerCluster: count(
      given['parallelMigrationsPerCluster'],
      DEFAULTS.parallelMigrationsPerCluster,
    ),
    parallelOutboundMigrationsPerNode: count(
      given['parallelOutboundMigrationsPerNode'],
      DEFAULTS.parallelOutboundMigrationsPerNode,
    ),
    progressTimeout: seconds(given['progressTimeout'], DEFAULTS.progressTimeout),
    unsafeMigrationOverride: flag(given['unsafeMigrationOverride'], DEFAULTS.unsafeMigrationOverride),
  }
}

/** The settings with what the policy says over them. */
export function withPolicy(
  settings: MigrationConfiguration,
  policy: MigrationPolicy | undefined,
): MigrationConfiguration {
  if (!policy) return settings
  const { selectors: _selectors, experimental: _experimental, ...own } = policy.spec
  const allowPostCopy = own.allowPostCopy ?? settings.allowPostCopy
  const disruption = own.allowWorkloadDisruption ?? (own.allowPostCopy || settings.allowWorkloadDisruption)
  return {
    ...settings,
    ...(own.allowAutoConverge !== undefined && { allowAutoConverge: own.allowAutoConverge }),
    ...(allowPostCopy !== undefined && { allowPostCopy }),
    ...(disruption !== undefined && { allowWorkloadDisruption: disruption }),
    ...(bandwidth(own.bandwidthPerMigration) && { bandwidthPerMigration: own.bandwidthPerMigration }),
    ...(own.completionTimeoutPerGiB !== undefined && {
      completionTimeoutPerGiB: own.completionTimeoutPerGiB,
    }),
    ...(own.maxDowntimeMs && { maxDowntimeMs: own.maxDowntimeMs }),
  }
}

/** What the source is told of it. */
export function transferOptions(settings: MigrationConfiguration = {}): MigrationOptions {
  const all = { ...DEFAULTS, ...settings }
  return {
    bandwidthBytes: Number(quantityToBytes(bandwidth(all.bandwidthPerMigration) ?? 0)),
    completionSecondsPerGiB: all.completionTimeoutPerGiB,
    progressSeconds: all.progressTimeout,
    maxDowntimeMs: Math.max(all.maxDowntimeMs, 1),
    allowAutoConverge: all.allowAutoConverge,
    allowPostCopy: all.allowPostCopy,
    allowWorkloadDisruption: all.allowWorkloadDisruption,
  }
}

function flag(value: unknown, otherwise: boolean): boolean {
  return typeof value === 'boolean' ? value : otherwise
}

/** 0 is no limit. */
function seconds(value: unknown, otherwise: number): number {
  return value === 0 ? 0 : count(value, otherwise)
}

/** 0 counts as not given. */
function count(value: unknown, otherwise: number): number {
  return Number.isSafeInteger(value) && Number(value) > 0 ? Number(value) : otherwise
}

function text(value: unknown, otherwise: string): string {
  return typeof value === 'string' && value !== '' ? value : otherwise
}

function bandwidth(value: unknown): string | undefined {
  return isQuantity(value) && quantityToBytes(value) >= 0n ? String(value) : undefined
}
