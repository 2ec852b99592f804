import { expect, test } from 'vitest'
import { choosePolicy } from '../../../src/controllers/migration/policy.ts'
import {
  DEFAULTS,
  migrationSettings,
  transferOptions,
  withPolicy,
} from '../../../src/controllers/migration/settings.ts'
import type { MigrationPolicy } from '../../../src/kinds/migration.ts'
import { KUBEVIRTS, MIGRATION_POLICIES, NAMESPACES, VMIS } from '../../../src/kinds/table.ts'
import { startMovingWorld } from '../../helpers/moving-guests.ts'

function policy(
  name: string,
  vmi?: Record<string, string>,
  namespace?: Record<string, string>,
  spec: Partial<MigrationPolicy['spec']> = {},
): MigrationPolicy {
  return {
    apiVersion: 'migrations.kubevirt.io/v1alpha1',
    kind: 'MigrationPolicy',
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      selectors: {
        ...(vmi && { virtualMachineInstanceSelector: vmi }),
        ...(namespace && { namespaceSelector: namespace }),
      },
      ...spec,
    },
  }
}

const LABELS = { vmi: { app: 'db', tier: 'gold' }, namespace: { team: 'a', zone: '1' } }
const { selectors: _none, ...bare } = policy('bare').spec
test.each<[string, MigrationPolicy[], string | undefined]>([
  ['there is none', [], undefined],
  ['none fits', [policy('p', { app: 'web' }), policy('q', {}, { team: 'b' })], undefined],
  ['both selectors have to fit', [policy('p', { app: 'db' }, { team: 'b' })], undefined],
  ['empty selectors are for everybody', [policy('all')], 'all'],
  ['a policy without selectors is for nobody', [{ ...policy('bare'), spec: bare }], undefined],
  ['more labels win', [policy('a', { app: 'db' }), policy('z', { app: 'db', tier: 'gold' })], 'z'],
  ['labels of both count', [policy('a', { app: 'db' }), policy('z', { app: 'db' }, { team: 'a' })], 'z'],
  [
    'the labels of the guest count for more',
    [policy('a', {}, { team: 'a' }), policy('z', { app: 'db' })],
    'z',
  ],
  ['then the name decides', [policy('b', { app: 'db' }), policy('a', { tier: 'gold' })], 'a'],
])('%s', (_rule, policies, expected) => {
  expect(choosePolicy(policies, LABELS)?.metadata.name).toBe(expected)
})

test('settings of the KubeVirt object go before the defaults, unless they make no sense', () => {
  expect(migrationSettings({})).toEqual(DEFAULTS)
  expect(migrationSettings({ migrations: 'fast' })).toEqual(DEFAULTS)
  expect(
    migrationSettings({
      migrations: {
        bandwidthPerMigration: '64Mi',
        completionTimeoutPerGiB: 0,
        progressTimeout: 60,
        allowAutoConverge: true,
        allowPostCopy: true,
        disableTLS: true,
        nodeDrainTaintKey: 'drain',
        parallelMigrationsPerCluster: -1,
        parallelOutboundMigrationsPerNode: 7,
      },
    }),
  ).toMatchObject({
    bandwidthPerMigration: '64Mi',
    completionTimeoutPerGiB: 0,
    progressTimeout: 60,
    allowAutoConverge: true,
    allowPostCopy: true,
    allowWorkloadDisruption: true,
    disableTLS: true,
    nodeDrainTaintKey: 'drain',
    parallelMigrationsPerCluster: 5,
    parallelOutboundMigrationsPerNode: 7,
  })
})

test('what a policy says goes before the settings, and what it leaves out stays', () => {
  const settings = { ...DEFAULTS, allowAutoConverge: true }
  const own = policy(
    'p',
    {},
    {},
    {
      bandwidthPerMigration: '1Gi',
      completionTimeoutPerGiB: 10,
      allowPostCopy: true,
      maxDowntimeMs: 100,
    },
  )
  expect(transferOptions(withPolicy(settings, own))).toEqual({
    bandwidthBytes: 1024 ** 3,
    completionSecondsPerGiB: 10,
    progressSeconds: 150,
    maxDowntimeMs: 100,
    allowAutoConverge: true,
    allowPostCopy: true,
    allowWorkloadDisruption: true,
  })
  expect(withPolicy(settings, undefined)).toEqual(settings)
})

test('the best policy of the guest and its namespace reaches the source, and is named in the state', async () => {
  const world = await startMovingWorld()
  await world.store.patch(NAMESPACES, '', 'default', {
    type: 'merge',
    body: { metadata: { labels: { team: 'a' } } },
  })
  await world.store.patch(VMIS, 'default', 'web', {
    type: 'merge',
    body: { metadata: { labels: { app: 'db' } } },
  })
  const { metadata: _meta, ...best } = policy(
    'best',
    { app: 'db' },
    { team: 'a' },
    { bandwidthPerMigration: '8Mi' },
  )
  await world.store.create(MIGRATION_POLICIES, { ...best, metadata: { name: 'best' } })
  const { metadata: _other, ...other } = policy('other', { app: 'db' }, {}, { bandwidthPerMigration: '1Mi' })
  await world.store.create(MIGRATION_POLICIES, { ...other, metadata: { name: 'other' } })
  await world.store.create(KUBEVIRTS, {
    apiVersion: 'kubevirt.io/v1',
    kind: 'KubeVirt',
    metadata: { namespace: 'default', name: 'kubevirt' },
    spec: { configuration: { migrations: { disableTLS: true, progressTimeout: 33, network: 'fast' } } },
  })
  await world.vmiUntil('web', ({ metadata }) => metadata.labels?.['app'] === 'db')
  await world.migrate()
  await world.inPhase('move', 'Running')
  expect(world.a.outgoing[0]?.options).toMatchObject({ bandwidthBytes: 8 * 1024 ** 2, progressSeconds: 33 })
  expect(world.a.outgoing[0]).not.toHaveProperty('tls')
  expect(world.b.incoming[0]).not.toHaveProperty('tls')
  expect(world.b.incoming[0]).toMatchObject({ network: 'fast' })
  const state = (await world.vmi('web'))?.status?.migrationState
  expect(state).toMatchObject({
    migrationPolicyName: 'best',
    migrationConfiguration: { bandwidthPerMigration: '8Mi', disableTLS: true, progressTimeout: 33 },
  })
})
