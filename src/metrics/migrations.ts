/** What is told of migrations. Source: contract metrics.md, section 3. */
import type { Vmi, Vmim } from '../kinds/kubevirt.ts'
import type { MigrationPhase } from '../kinds/migration.ts'
import type { Reading } from './reading.ts'

/** Phases by the series that counts them. */
const COUNTED: Readonly<Record<string, readonly (MigrationPhase | '' | undefined)[]>> = {
  pending: ['Pending'],
  scheduling: ['Scheduling'],
  running: ['Scheduled', 'PreparingTarget', 'TargetReady', 'Running'],
  unset: ['', undefined],
}

/** How many migrations are where, and what came of each. */
export function migrationReadings(migrations: readonly Vmim[]): Reading[] {
  const counts = Object.entries(COUNTED).map(([word, phases]) => ({
    name: `kubevirt_vmi_migrations_in_${word}_phase`,
    labels: {},
    value: migrations.filter(({ status }) => phases.includes(status?.phase)).length,
  }))
  return [...counts, ...migrations.flatMap(outcomeOf)]
}

function outcomeOf({ metadata: { name, namespace }, spec, status }: Vmim): Reading[] {
  const { phase } = status ?? {}
  if (phase !== 'Succeeded' && phase !== 'Failed') return []
  const labels = { vmi: spec.vmiName ?? '', vmim: name, namespace }
  return [{ name: `kubevirt_vmi_migration_${phase.toLowerCase()}`, labels, value: 1 }]
}

/** When the last migration of a VMI began and ended; `nameOf` finds a migration by its UID. */
export function migrationTimes(
  { metadata: { namespace, name }, status }: Vmi,
  nameOf: (uid: string) => string | undefined,
): Reading[] {
  const state = status?.migrationState
  if (!state) return []
  const migration = nameOf(state.migrationUid ?? '') ?? ''
  const labels = { node: status?.nodeName ?? '', namespace, name, migration_name: migration }
  const outcome = state.failed ? 'failed' : 'succeeded'
  return [
    ...at('kubevirt_vmi_migration_start_time_seconds', state.startTimestamp, labels),
    ...at(
      'kubevirt_vmi_migration_end_time_seconds',
      state.completed || state.failed ? state.endTimestamp : undefined,
      { ...labels, status: outcome },
    ),
  ]
}

function at(name: string, time: unknown, labels: Record<string, string>): Reading[] {
  const value = typeof time === 'string' ? Date.parse(time) / 1000 : Number.NaN
  return Number.isFinite(value) ? [{ name, labels, value }] : []
}
