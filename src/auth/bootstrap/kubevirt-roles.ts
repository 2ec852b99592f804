/** KubeVirt's roles. Source: contract, sections 8.1 and 8.2. */
import type { ClusterRole, ClusterRoleBinding, PolicyRule } from '../../kinds/core.ts'
import type { Draft } from '../../kinds/meta.ts'
import { AUTHENTICATED } from '../../kinds/service-account.ts'
import {
  aggregateTo,
  clusterRole,
  clusterRoleBinding,
  group,
  KUBERNETES_LABELS,
  OWN,
  READ,
  rule,
  WRITE,
} from './build.ts'
import { subresourceRules, type SubresourceGrant } from './subresource-grants.ts'

const LABELS = { 'kubevirt.io': '' }

/** Resources that admins own, editors write and viewers read. */
const COMMON: readonly [group: string, resources: string[]][] = [
  [
    'kubevirt.io',
    [
      'virtualmachines',
      'virtualmachineinstances',
      'virtualmachineinstancepresets',
      'virtualmachineinstancereplicasets',
    ],
  ],
  [
    'snapshot.kubevirt.io',
    ['virtualmachinesnapshots', 'virtualmachinesnapshotcontents', 'virtualmachinerestores'],
  ],
  ['backup.kubevirt.io', ['virtualmachinebackups', 'virtualmachinebackuptrackers']],
  ['export.kubevirt.io', ['virtualmachineexports']],
  ['clone.kubevirt.io', ['virtualmachineclones']],
  [
    'instancetype.kubevirt.io',
    [
      'virtualmachineinstancetypes',
      'virtualmachineclusterinstancetypes',
      'virtualmachinepreferences',
      'virtualmachineclusterpreferences',
    ],
  ],
  ['pool.kubevirt.io', ['virtualmachinepools']],
]

const commonRules = (verbs: readonly string[]) =>
  COMMON.map(([group, resources]) => rule(group, resources, verbs))

const MIGRATIONS = ['virtualmachineinstancemigrations']
const READ_ALONE: PolicyRule[] = [
  rule('kubevirt.io', MIGRATIONS, READ),
  rule('migrations.kubevirt.io', ['migrationpolicies'], READ),
]
const READ_CONFIGURATION = rule('kubevirt.io', ['kubevirts'], ['get', 'list'])
const PLUGINS = 'plugin.kubevirt.io'

/** KubeVirt's roles and what binds them. */
export function kubevirtRoles(
  grants: readonly SubresourceGrant[],
): (Draft<ClusterRole> | Draft<ClusterRoleBinding>)[] {
  const role = (name: string, rules: PolicyRule[], labels = {}) =>
    clusterRole(`kubevirt.io:${name}`, rules, { ...LABELS, ...labels })
  return [
    // For whoever gathers metrics; bound to nobody.
    role('metrics', [{ verbs: ['get'], nonResourceURLs: ['/metrics'] }]),
    role(
      'admin',
      [
        ...subresourceRules('admin', grants),
        ...commonRules(OWN),
        rule(PLUGINS, ['plugins'], OWN),
        ...READ_ALONE,
      ],
      aggregateTo('admin'),
    ),
    role(
      'edit',
      [...subresourceRules('edit', grants), ...commonRules(WRITE), READ_CONFIGURATION, ...READ_ALONE],
      aggregateTo('edit'),
    ),
    role(
      'view',
      [
        ...subresourceRules('view', grants),
        ...commonRules(READ),
        rule(PLUGINS, ['plugins'], READ),
        READ_CONFIGURATION,
        ...READ_ALONE,
      ],
      aggregateTo('view'),
    ),
    role('migrate', [...subresourceRules('migrate', grants), rule('kubevirt.io', MIGRATIONS, OWN)]),
    role('default', [...subresourceRules('default', grants), READ_CONFIGURATION], KUBERNETES_LABELS),
    role('vsock', subresourceRules('vsock', grants)),
    role('backup', subresourceRules('backup', grants)),
    clusterRole(
      'instancetype.kubevirt.io:view',
      [
        rule(
          'instancetype.kubevirt.io',
          ['virtualmachineclusterinstancetypes', 'virtualmachineclusterpreferences'],
          READ,
        ),
      ],
      LABELS,
    ),
    ...['kubevirt.io:default', 'instancetype.kubevirt.io:view'].map((name) =>
      clusterRoleBinding(name, name, [group(AUTHENTICATED)], LABELS),
    ),
  ]
}
