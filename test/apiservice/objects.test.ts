/** What is registered with a cluster. Contract: subresources.md 8, admission-overview.md 7. */
import { describe, expect, test } from 'vitest'
import { buildApiServices } from '../../apiservice/api-services.ts'
import { DEFAULTS, type Manifest } from '../../apiservice/manifest.ts'
import { buildNodeLeaseRbac, buildRbac } from '../../apiservice/rbac.ts'
import { buildServices } from '../../apiservice/services.ts'
import { buildLauncherPodMutator, buildWebhookConfigurations } from '../../apiservice/webhooks.ts'
import { WEBHOOKS } from '../../src/admission/webhooks/paths.ts'
import type { ClusterRole, PolicyRule } from '../../src/kinds/core.ts'
import { REGISTRATIONS, TLS_SECRETS } from '../../src/kinds/installation.ts'

test('both versions of the group are forwarded to the Service, checked by its name', () => {
  const services = buildApiServices(DEFAULTS)
  expect(services.map(({ metadata }) => metadata.name)).toEqual([
    'v1.subresources.kubevirt.io',
    'v1alpha3.subresources.kubevirt.io',
  ])
  for (const { spec, metadata } of services) {
    expect(metadata.name).toBe(`${spec.version}.${spec.group}`)
    expect(spec).toMatchObject({
      service: { name: 'virt-api', namespace: 'kubevirt', port: 443 },
      groupPriorityMinimum: 1000,
      versionPriority: 15,
      insecureSkipTLSVerify: false,
    })
  }
  const [service] = buildServices(DEFAULTS)
  expect(service?.metadata).toMatchObject({ name: 'virt-api', namespace: 'kubevirt' })
  expect(service?.spec.ports.map(({ port }) => port)).toEqual([443, DEFAULTS.webhookPort])
})

describe('webhooks', () => {
  const configurations = buildWebhookConfigurations(DEFAULTS)
  const [mutating, validating] = configurations
  const entries = configurations.flatMap(({ webhooks }) => webhooks)
  const find = (name: string) => entries.find((entry) => entry.name.startsWith(name))

  const pathsOf = (from: typeof mutating) =>
    from?.webhooks.map(({ clientConfig }) => clientConfig.service.path) ?? []
  const isServed = (path: string) => WEBHOOKS.some((webhook) => webhook.path === path)

  test('every webhook that is served is registered as what it is, and no other', () => {
    const paths = (mutates: boolean) =>
      WEBHOOKS.filter((one) => one.mutates === mutates).map(({ path }) => path)
    const launcher = buildLauncherPodMutator(DEFAULTS)
    expect(new Set([...pathsOf(mutating), ...pathsOf(launcher)])).toEqual(new Set(paths(true)))
    expect(new Set(pathsOf(validating))).toEqual(new Set(paths(false)))
  })

  test('the order and the names are those of the contract', () => {
    expect(mutating?.metadata.name).toBe('virt-api-mutator')
    expect(mutating?.webhooks.map(({ name }) => name)).toEqual([
      'virtualmachines-mutator.kubevirt.io',
      'virtualmachineinstances-mutator.kubevirt.io',
      'migrations-mutator.kubevirt.io',
      'virtualmachineclones-mutator.kubevirt.io',
    ])
    expect(validating?.metadata.name).toBe('virt-api-validator')
    const evictions = isServed('/pod-eviction-validate')
      ? ['virt-launcher-eviction-interceptor', 'hotplug-pod-eviction-interceptor']
      : []
    expect(validating?.webhooks.map(({ name }) => name.split('.', 1)[0])).toEqual([
      ...evictions,
      'virtualmachineinstances-create-validator',
      'virtualmachineinstances-update-validator',
      'virtualmachine-validator',
      'virtualmachinereplicaset-validator',
      'virtualmachinepool-validator',
      'virtualmachinepreset-validator',
      'migration-create-validator',
      'migration-update-validator',
      'virtualmachinesnapshot-validator',
      'virtualmachinerestore-validator',
      'virtualmachinebackup-validator',
      'virtualmachinebackuptracker-validator',
      'virtualmachineexport-validator',
      'virtualmachineinstancetype-validator',
      'virtualmachineclusterinstancetype-validator',
      'virtualmachinepreference-validator',
      'virtualmachineclusterpreference-validator',
      'kubevirt-crd-status-validator',
      'migration-policy-validator',
      'vm-clone-validator',
      'plugin-validator',
    ])
  })

  test('D4: all fail closed, and are given 10 s; but for guests, who reserve room in quotas, they change nothing', () => {
    for (const entry of entries.filter(({ name }) => !name.includes('eviction-interceptor'))) {
      expect(entry).toMatchObject({
        failurePolicy: 'Fail',
        sideEffects: /^virtualmachineinstances-.*-validator/.test(entry.name) ? 'NoneOnDryRun' : 'None',
        admissionReviewVersions: ['v1'],
        timeoutSeconds: 10,
        clientConfig: { service: { name: 'virt-api', namespace: 'kubevirt', port: DEFAULTS.webhookPort } },
      })
      expect(entry.rules).toHaveLength(1)
    }
  })

  test.each<[string, string[], string, string[], string[]]>([
    ['virtualmachines-mutator', ['CREATE', 'UPDATE'], 'kubevirt.io', ['v1alpha3', 'v1'], ['virtualmachines']],
    [
      'virtualmachineinstances-update',
      ['UPDATE'],
      'kubevirt.io',
      ['v1alpha3', 'v1'],
      ['virtualmachineinstances'],
    ],
    ['virtualmachinepool', ['CREATE', 'UPDATE'], 'pool.kubevirt.io', ['v1beta1'], ['virtualmachinepools']],
    ['virtualmachineexport', ['CREATE', 'UPDATE'], 'export.kubevirt.io', ['v1'], ['virtualmachineexports']],
    [
      'virtualmachinebackup-',
      ['CREATE', 'UPDATE'],
      'backup.kubevirt.io',
      ['v1alpha1'],
      ['virtualmachinebackups'],
    ],
    ['migration-policy', ['CREATE', 'UPDATE'], 'migrations.kubevirt.io', ['v1alpha1'], ['migrationpolicies']],
    ['plugin', ['CREATE', 'UPDATE'], 'plugin.kubevirt.io', ['v1alpha1'], ['plugins']],
    ['virtualmachineclones-mutator', ['CREATE'], 'clone.kubevirt.io', ['v1beta1'], ['virtualmachineclones']],
    [
      'kubevirt-crd-status',
      ['CREATE', 'UPDATE'],
      'kubevirt.io',
      ['v1alpha3', 'v1'],
      [
        'virtualmachines/status',
        'virtualmachineinstancereplicasets/status',
        'virtualmachineinstancemigrations/status',
      ],
    ],
  ])('%s is asked about what the contract says', (name, operations, group, apiVersions, resources) => {
    expect(find(name)?.rules).toEqual([{ operations, apiGroups: [group], apiVersions, resources }])
  })
})

test('every object that carries a caBundle is among those whose caBundle is kept', () => {
  const names = (manifests: Manifest[]) => manifests.map(({ metadata }) => metadata.name)
  const { apiServices, mutating, validating } = REGISTRATIONS
  expect(names(buildApiServices(DEFAULTS))).toEqual(apiServices)
  const webhooks = [...buildWebhookConfigurations(DEFAULTS), buildLauncherPodMutator(DEFAULTS)]
  const named = (kind: string) => names(webhooks.filter((one) => one.kind === kind))
  expect(named('MutatingWebhookConfiguration')).toEqual(mutating)
  expect(named('ValidatingWebhookConfiguration')).toEqual(validating)
})

describe('roles', () => {
  const rulesOf = (manifests: readonly Manifest[], name: string): PolicyRule[] => {
    const role: (Manifest & Pick<ClusterRole, 'rules'>) | undefined = manifests.find(
      ({ kind, metadata }) => kind === 'ClusterRole' && metadata.name === name,
    )
    return role?.rules ?? []
  }
  const mayDo = (rules: PolicyRule[], verb: string, group: string, resource: string): boolean =>
    rules.some(
      ({ verbs, apiGroups, resources }) =>
        verbs.includes(verb) && apiGroups?.includes(group) && resources?.includes(resource),
    )

  test('I2: the API server reads no Secret, changes no role, and reads the one ConfigMap it trusts', () => {
    const manifests = buildRbac(DEFAULTS)
    const rules = rulesOf(manifests, 'kubevirt-apiserver')
    const resources = rules.flatMap(({ resources = [] }) => resources)
    expect(resources).not.toContain('secrets')
    expect(rules.flatMap(({ apiGroups = [] }) => apiGroups)).not.toContain('rbac.authorization.k8s.io')
    expect(rules.some(({ verbs, apiGroups }) => verbs.includes('*') || apiGroups?.includes('*'))).toBe(false)
    expect(mayDo(rules, 'watch', 'kubevirt.io', 'virtualmachineinstancepresets')).toBe(true)
    expect(manifests).toContainEqual(
      expect.objectContaining({
        kind: 'RoleBinding',
        metadata: expect.objectContaining({ namespace: 'kube-system' }),
        roleRef: expect.objectContaining({ name: 'extension-apiserver-authentication-reader' }),
        subjects: [{ kind: 'ServiceAccount', namespace: 'kubevirt', name: 'kubevirt-apiserver' }],
      }),
    )
  })

  test('I2: Secrets and registrations are kept by name; the API server reads two Secrets, and no key of an authority', () => {
    const manifests = buildRbac(DEFAULTS)
    const named = (kind: string, name: string): (Manifest & Pick<ClusterRole, 'rules'>) | undefined =>
      manifests.find((one) => one.kind === kind && one.metadata.name === name)
    const { serving, apiserver } = TLS_SECRETS
    const ofServer = named('Role', 'kubevirt-apiserver-certificates')
    expect(ofServer?.metadata.namespace).toBe('kubevirt')
    expect(ofServer?.rules).toEqual([
      {
        apiGroups: [''],
        resources: ['secrets'],
        verbs: ['get', 'list', 'watch'],
        resourceNames: [serving, apiserver],
      },
    ])
    const ofController = [
      ...(named('Role', 'kubevirt-controller-certificates')?.rules ?? []),
      ...(named('ClusterRole', 'kubevirt-controller-registrations')?.rules ?? []),
    ]
    const unnamed = ofController.filter(({ resourceNames }) => !resourceNames?.length)
    expect(unnamed.flatMap(({ verbs }) => verbs)).toEqual(['create', 'create'])
  })

  test('I2: Leases are granted in our own namespace alone, and those of nodes where Node objects are ours', () => {
    const lists = [buildRbac(DEFAULTS), buildNodeLeaseRbac(DEFAULTS)]
    const granted = lists.map((manifests) =>
      (manifests as (Manifest & Pick<ClusterRole, 'rules'>)[]).flatMap(({ kind, metadata, rules }) =>
        (rules ?? [])
          .filter(({ resources }) => resources?.includes('leases'))
          .map(({ verbs }) => `${kind} ${metadata.namespace}/${metadata.name}: ${verbs.join()}`),
      ),
    )
    expect(granted).toEqual([
      [
        'Role kubevirt/kubevirt-apiserver: get,list,watch',
        'Role kubevirt/kubevirt-controller: get,list,watch,create,update,patch',
      ],
      ['Role kube-node-lease/kubevirt-controller: get,create,patch'],
    ])
    for (const manifests of lists) {
      const bound = manifests.filter(
        ({ kind, metadata }) => kind === 'RoleBinding' && metadata.name === 'kubevirt-controller',
      )
      expect(bound).toMatchObject([
        {
          roleRef: { kind: 'Role', name: 'kubevirt-controller' },
          subjects: [{ kind: 'ServiceAccount', namespace: 'kubevirt', name: 'kubevirt-controller' }],
        },
      ])
    }
  })

  test('kube-apiserver is told of the first segment of deep subresources, too', () => {
    const rules = rulesOf(buildRbac(DEFAULTS), 'kubevirt.io:edit')
    for (const resource of ['virtualmachineinstances/sev', 'virtualmachines/evacuate']) {
      expect(mayDo(rules, 'update', 'subresources.kubevirt.io', resource)).toBe(true)
    }
    expect(mayDo(rules, 'get', 'subresources.kubevirt.io', 'virtualmachineinstances/vnc/screenshot')).toBe(
      false,
    )
  })

  test('B6: aggregation into admin, edit and view can be left off', () => {
    const aggregated = (aggregateRoles: boolean) =>
      buildRbac({ ...DEFAULTS, aggregateRoles })
        .filter(({ metadata }) =>
          Object.keys(metadata.labels ?? {}).some((label) => label.includes('aggregate-to')),
        )
        .map(({ metadata }) => metadata.name)
    expect(aggregated(true)).toEqual(['kubevirt.io:admin', 'kubevirt.io:edit', 'kubevirt.io:view'])
    expect(aggregated(false)).toEqual([])
    expect(buildRbac({ ...DEFAULTS, aggregateRoles: false })).toHaveLength(buildRbac(DEFAULTS).length)
  })
})
