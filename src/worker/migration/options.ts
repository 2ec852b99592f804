import { isIPv6 } from 'node:net'
import type { MigrationOptions } from '../../rpc/actions.ts'
import { AUTHZ_ID, CREDS_ID } from './tls.ts'

/** Kinds of connection of a migration. Source: contract 5.1. */
export const CHANNELS = { state: 49_152, disks: 49_153 } as const

/** Milliseconds of the first downtime limit, where the configuration allows more. Source: contract 5.4. */
const FIRST_DOWNTIME_MS = 300

/** A capability and its state, as QMP has it. */
export interface Capability {
  capability: string
  state: boolean
}

/**
 * What the source has switched on. `return-path` above all: without it a source takes a target that could not load
 * the state for one that has. Source: contract 0.2, 2.10.
 */
export function sourceCapabilities(
  { allowAutoConverge, allowPostCopy }: Pick<MigrationOptions, 'allowAutoConverge' | 'allowPostCopy'>,
  { hasMirrors, targetTakesPostCopy }: { hasMirrors: boolean; targetTakesPostCopy: boolean },
): Capability[] {
  return capabilities({
    events: true,
    'return-path': true,
    'late-block-activate': true,
    // The copies of disks are brought to their end while the guest stands still; without any there is no need to.
    'pause-before-switchover': hasMirrors,
    'auto-converge': allowAutoConverge,
    'postcopy-ram': allowPostCopy && targetTakesPostCopy,
  })
}

/** What the target has switched on. */
export function targetCapabilities(): Capability[] {
  return capabilities({ events: true, 'return-path': true, 'late-block-activate': true })
}

/** That the target's host can take memory on demand; QEMU refuses where it cannot. */
export const POST_COPY: readonly Capability[] = capabilities({ 'postcopy-ram': true })

function capabilities(states: Record<string, boolean>): Capability[] {
  return Object.entries(states).map(([capability, state]) => ({ capability, state }))
}

/** Parameters of the source. `peerName` is the name in the target's certificate; absent without TLS. */
export function sourceParameters(
  { bandwidthBytes, maxDowntimeMs }: Pick<MigrationOptions, 'bandwidthBytes' | 'maxDowntimeMs'>,
  peerName: string | undefined,
): object {
  return {
    'max-bandwidth': bandwidthBytes,
    'downtime-limit': Math.min(maxDowntimeMs, FIRST_DOWNTIME_MS),
    'max-postcopy-bandwidth': bandwidthBytes,
    'cpu-throttle-initial': 20,
    'cpu-throttle-increment': 10,
    // What an earlier migration has set is overwritten in any case.
    'tls-creds': peerName === undefined ? '' : CREDS_ID,
    'tls-hostname': peerName ?? '',
  }
}

/** Parameters of the target. */
export function targetParameters(isEncrypted: boolean): object {
  return { 'tls-creds': isEncrypted ? CREDS_ID : '', 'tls-authz': isEncrypted ? AUTHZ_ID : '' }
}

/** Where the guest's state goes to or comes from; port 0 takes a free one. */
export function stateUri(address: string, port: number): string {
  return `tcp:${isIPv6(address) ? `[${address}]` : address}:${port}`
}

/** The port of a channel. Throws `RangeError` where the other side has not named it. */
export function portOf(ports: Readonly<Record<string, number>>, channel: number): number {
  const found = Object.entries(ports).find(([, name]) => name === channel)
  if (!found) throw new RangeError(`the target has named no port for channel ${channel}`)
  return Number(found[0])
}
