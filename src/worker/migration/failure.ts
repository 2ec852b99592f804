import { classify, GuestFailure } from '../guest/failure.ts'

/** What a migration's failure begins with. Source: contract worker-qemu 5.6. */
export type FailureKind =
  | 'aborted'
  | 'timeout'
  | 'no-progress'
  | 'target-unreachable'
  | 'tls'
  | 'incompatible-target'
  | 'storage'
  | 'internal'

/** A migration cannot go on. The guest stays at the source. */
export class MigrationFailed extends Error {
  readonly kind: FailureKind

  constructor(kind: FailureKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'MigrationFailed'
    this.kind = kind
  }
}

/** The text that reports carry. */
export function formatFailure(kind: FailureKind, message: string): string {
  return `${kind}: ${message}`
}

/** Reasons of guests that do not start, as failures of their migration. */
const KINDS: Record<string, FailureKind> = {
  InvalidConfiguration: 'incompatible-target',
  UnsupportedDevice: 'incompatible-target',
  HypervisorUnavailable: 'incompatible-target',
  HostResourceMissing: 'incompatible-target',
  StorageNotReady: 'storage',
  ErrImagePull: 'storage',
  ImageRejected: 'storage',
}

/** Why a target could not be made ready, as reports say it. */
export function describeFailure(error: unknown): string {
  if (error instanceof MigrationFailed) return formatFailure(error.kind, error.message)
  const { reason, message } = error instanceof GuestFailure ? error : classify(error)
  return formatFailure(KINDS[reason] ?? 'internal', message)
}

/** What QEMU says of a connection or a stream, sorted. The texts are QEMU's and may change: `internal` is the rest. */
const SAID: [RegExp, FailureKind][] = [
  [/TLS|certificate|handshake|authoriz/i, 'tls'],
  [
    /refused|unreachable|reset by peer|Broken pipe|timed out|closed|Unable to (write|read)/i,
    'target-unreachable',
  ],
  [
    /Sibling|load of migration|incompatible|Unknown savevm|Length mismatch|Size mismatch/i,
    'incompatible-target',
  ],
  [/No space left|lock|Input\/output/i, 'storage'],
]

/** A failure that QEMU has told of. */
export function failureOf(said: string | undefined): string {
  const text = said ?? 'QEMU gave up without saying why'
  return formatFailure(SAID.find(([pattern]) => pattern.test(text))?.[1] ?? 'internal', text)
}
