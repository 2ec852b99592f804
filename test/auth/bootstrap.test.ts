import { expect, test, onTestFinished } from 'vitest'
import { bootstrapObjects, ensureBootstrap } from '../../src/auth/bootstrap/bootstrap.ts'
import { serviceAccountUser } from '../../src/kinds/service-account.ts'
import { aggregate, startRoleAggregation } from '../../src/auth/rbac/aggregation.ts'
import { buildRbacAuthorizer } from '../../src/auth/rbac/authorizer.ts'
import { openRbacCache } from '../../src/auth/rbac/cache.ts'
import { CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES } from '../../src/kinds/table.ts'
import { openInformer } from '../../src/store/informer.ts'
import { clusterRole, handClock, READ_VMS, roleBinding, silent, userSubject } from './fixtures.ts'
import { openMemoryStore, type MemoryStore } from './memory-store.ts'

const AUTOUPDATE = 'rbac.authorization.kubernetes.io/autoupdate'

async function installed() {
  const store = openMemoryStore()
  await ensureBootstrap(store)
  const common = { store, openInformer, clock: handClock(), log: silent }
  const aggregation = await startRoleAggregation(common)
  onTestFinished(() => aggregation[Symbol.asyncDispose]())
  const cache = await openRbacCache(common)
  onTestFinished(() => cache[Symbol.asyncDispose]())
  const authorizer = buildRbacAuthorizer(cache)
  for (const role of ['admin', 'edit', 'view', 'migrate']) {
    const name = role === 'migrate' ? 'kubevirt.io:migrate' : role
    await store.create(ROLE_BINDINGS, roleBinding('dev', role, `ClusterRole/${name}`, [userSubject(role)]))
  }
  await expect.poll(async () => (await rulesOf(store, 'admin')).length).toBeGreaterThan(20)
  const may = async (who: string, verb: string, path: string, namespace = 'dev') => {
    const [group = '', resource = '', ...subresource] = path.split('/')
    const user = { name: who, groups: ['system:authenticated'] }
    const { allowed } = await authorizer.review(user, {
      kind: 'resource',
      verb,
      group,
      version: 'v1',
      resource,
      namespace,
      ...(subresource.length > 0 && { subresource: subresource.join('/') }),
    })
    return allowed
  }
  return { store, authorizer, may }
}

async function rulesOf(store: MemoryStore, name: string) {
  return (await store.get(CLUSTER_ROLES, '', name))?.rules ?? []
}

/** Contract, section 8.1: who may use what, column by column. */
const MATRIX: [string, string, string][] = [
  ['virtualmachines/start', 'update', 'AE'],
  ['virtualmachines/restart', 'update', 'AE'],
  ['virtualmachines/stop', 'update', 'AE'],
  ['virtualmachines/addvolume', 'update', 'AE'],
  ['virtualmachines/removevolume', 'update', 'AE'],
  ['virtualmachines/memorydump', 'update', 'A'],
  ['virtualmachines/removememorydump', 'update', 'A'],
  ['virtualmachines/migrate', 'update', 'M'],
  ['virtualmachines/evacuate/cancel', 'update', 'AE'],
  ['virtualmachines/evacuate', 'update', 'AE'],
  ['virtualmachines/expand-spec', 'get', 'AEV'],
  ['virtualmachines/objectgraph', 'get', 'AEV'],
  ['virtualmachines/portforward', 'get', 'AE'],
  ['expand-vm-spec', 'update', 'AEV'],
  ['virtualmachineinstances/console', 'get', 'AE'],
  ['virtualmachineinstances/vnc', 'get', 'AE'],
  ['virtualmachineinstances/portforward', 'get', 'AE'],
  ['virtualmachineinstances/usbredir', 'get', 'AE'],
  ['virtualmachineinstances/vnc/screenshot', 'get', 'A'],
  ['virtualmachineinstances/vsock', 'get', ''],
  ['virtualmachineinstances/guestosinfo', 'get', 'AEV'],
  ['virtualmachineinstances/filesystemlist', 'get', 'AEV'],
  ['virtualmachineinstances/userlist', 'get', 'AEV'],
  ['virtualmachineinstances/objectgraph', 'get', 'AEV'],
  ['virtualmachineinstances/pause', 'update', 'AE'],
  ['virtualmachineinstances/unpause', 'update', 'AE'],
  ['virtualmachineinstances/freeze', 'update', 'AE'],
  ['virtualmachineinstances/unfreeze', 'update', 'AE'],
  ['virtualmachineinstances/softreboot', 'update', 'AE'],
  ['virtualmachineinstances/reset', 'update', 'AE'],
  ['virtualmachineinstances/addvolume', 'update', 'AE'],
  ['virtualmachineinstances/removevolume', 'update', 'AE'],
  ['virtualmachineinstances/backup', 'update', ''],
  ['virtualmachineinstances/redefine-checkpoint', 'update', ''],
  ['virtualmachineinstances/evacuate/cancel', 'update', 'AE'],
  ['virtualmachineinstances/evacuate', 'update', 'AE'],
  ['virtualmachineinstances/sev/fetchcertchain', 'get', 'AEV'],
  ['virtualmachineinstances/sev/querylaunchmeasurement', 'get', 'AEV'],
  ['virtualmachineinstances/sev', 'get', 'AEV'],
  ['virtualmachineinstances/sev/setupsession', 'update', 'AE'],
  ['virtualmachineinstances/sev/injectlaunchsecret', 'update', 'AE'],
  ['virtualmachineinstances/sev', 'update', 'AE'],
]

/** Contract, section 8.2, and what Kubernetes' own roles of these names grant. */
const OBJECTS: [string, string, string][] = [
  ['kubevirt.io/virtualmachines', 'deletecollection', 'A'],
  ['kubevirt.io/virtualmachines', 'delete', 'AE'],
  ['kubevirt.io/virtualmachineinstances', 'watch', 'AEV'],
  ['kubevirt.io/virtualmachines/status', 'update', ''],
  ['kubevirt.io/virtualmachineinstancemigrations', 'create', 'M'],
  ['kubevirt.io/virtualmachineinstancemigrations', 'list', 'AEVM'],
  ['kubevirt.io/kubevirts', 'list', 'AEVMD'],
  ['kubevirt.io/kubevirts', 'update', ''],
  ['plugin.kubevirt.io/plugins', 'create', 'A'],
  ['pool.kubevirt.io/virtualmachinepools', 'create', 'AE'],
  ['migrations.kubevirt.io/migrationpolicies', 'list', 'AEV'],
  ['instancetype.kubevirt.io/virtualmachineclusterpreferences', 'list', 'AEVMD'],
  ['instancetype.kubevirt.io/virtualmachinepreferences', 'list', 'AEV'],
  ['/secrets', 'get', 'AE'],
  ['/configmaps', 'get', 'AEV'],
  ['/configmaps', 'update', 'AE'],
  ['/nodes', 'list', ''],
  ['rbac.authorization.k8s.io/rolebindings', 'create', 'A'],
]

const WHO: Record<string, string> = { A: 'admin', E: 'edit', V: 'view', M: 'migrate', D: 'somebody' }

test('B6: the roles grant exactly what the contract lists', async () => {
  const { may } = await installed()
  const rows = [
    ...MATRIX.map(([path, verb]) => [`subresources.kubevirt.io/${path}`, verb] as const),
    ...OBJECTS,
  ]
  const granted = await Promise.all(
    rows.map(async ([path, verb]) => {
      const letters = await Promise.all(
        Object.entries(WHO).map(async ([letter, who]) => ((await may(who, verb, path)) ? letter : '')),
      )
      return `${verb} ${path}: ${letters.join('')}`
    }),
  )
  expect(granted).toEqual([
    ...MATRIX.map(([path, verb, who]) => `${verb} subresources.kubevirt.io/${path}: ${who}`),
    ...OBJECTS.map(([path, verb, who]) => `${verb} ${path}: ${who}`),
  ])
  expect(await may('admin', 'get', 'kubevirt.io/virtualmachines', 'prod')).toBe(false)
})

test("virtgate's own accounts may do their work and no more", async () => {
  const { authorizer } = await installed()
  const asked = (verb: string, group: string, resource: string, namespace = 'dev') => ({
    kind: 'resource' as const,
    verb,
    group,
    version: 'v1',
    resource,
    namespace,
  })
  const account = (name: string) => serviceAccountUser({ namespace: 'kubevirt', name })
  const may = async (name: string, verb: string, group: string, resource: string, namespace?: string) =>
    (await authorizer.review(account(name), asked(verb, group, resource, namespace))).allowed
  const leases = async (name: string, verb: string) => {
    const places = ['dev', 'kubevirt', 'kube-node-lease']
    const allowed = await Promise.all(
      places.map((place) => may(name, verb, 'coordination.k8s.io', 'leases', place)),
    )
    return places.filter((_place, at) => allowed[at])
  }
  expect(await leases('kubevirt-apiserver', 'watch')).toEqual(['kubevirt'])
  expect(await leases('kubevirt-apiserver', 'update')).toEqual([])
  expect(await leases('kubevirt-controller', 'update')).toEqual(['kubevirt'])
  expect(await leases('kubevirt-controller', 'patch')).toEqual(['kubevirt', 'kube-node-lease'])
  expect(await leases('kubevirt-controller', 'delete')).toEqual([])
  expect(await may('kubevirt-apiserver', 'create', 'authorization.k8s.io', 'subjectaccessreviews')).toBe(true)
  expect(await may('kubevirt-apiserver', 'patch', 'kubevirt.io', 'virtualmachines')).toBe(true)
  expect(await may('kubevirt-apiserver', 'get', '', 'secrets')).toBe(false)
  expect(await may('kubevirt-controller', 'create', 'kubevirt.io', 'virtualmachineinstances')).toBe(true)
  expect(await may('kubevirt-controller', 'list', '', 'secrets')).toBe(false)
  expect(await may('kubevirt-handler', 'get', 'kubevirt.io', 'virtualmachineinstances')).toBe(false)
})

test('a second start changes nothing', async () => {
  const { store } = await installed()
  const before = await store.list(CLUSTER_ROLES)
  await ensureBootstrap(store)
  expect((await store.list(CLUSTER_ROLES)).items).toEqual(before.items)
})

test('a default role is brought up to date unless people say no', async () => {
  const store = openMemoryStore()
  await ensureBootstrap(store)
  const rules = await rulesOf(store, 'kubevirt.io:edit')
  const change = { type: 'merge' as const, body: { rules: [READ_VMS] } }
  await store.patch(CLUSTER_ROLES, '', 'kubevirt.io:edit', change)
  await store.patch(CLUSTER_ROLES, '', 'kubevirt.io:view', {
    ...change,
    body: { ...change.body, metadata: { annotations: { [AUTOUPDATE]: 'false' } } },
  })
  const own = await store.get(ROLES, 'kubevirt', 'kubevirt-controller')
  await store.patch(ROLES, 'kubevirt', 'kubevirt-controller', change)
  await ensureBootstrap(store)
  expect((await store.get(ROLES, 'kubevirt', 'kubevirt-controller'))?.rules).toEqual(own?.rules)
  expect(own?.rules).not.toEqual([READ_VMS])
  expect(await rulesOf(store, 'kubevirt.io:edit')).toEqual(rules)
  expect(await rulesOf(store, 'kubevirt.io:view')).toEqual([READ_VMS])
})

test('subjects that people have added to a default binding stay; ours come back', async () => {
  const store = openMemoryStore()
  await ensureBootstrap(store)
  const body = { subjects: [userSubject('jane')] }
  await store.patch(CLUSTER_ROLE_BINDINGS, '', 'cluster-admin', { type: 'merge', body })
  await ensureBootstrap(store)
  const binding = await store.get(CLUSTER_ROLE_BINDINGS, '', 'cluster-admin')
  expect(binding?.subjects?.map(({ name }) => name)).toEqual(['jane', 'system:masters'])
})

test('a role labelled later is gathered, and let go when its label goes', async () => {
  const { store, may } = await installed()
  const labels = { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' }
  const rule = { verbs: ['get'], apiGroups: ['example.org'], resources: ['things'] }
  await store.create(CLUSTER_ROLES, clusterRole('things', [rule], labels))
  await expect.poll(() => may('view', 'get', 'example.org/things')).toBe(true)
  await expect.poll(() => may('admin', 'get', 'example.org/things')).toBe(true)
  await store.patch(CLUSTER_ROLES, '', 'things', { type: 'merge', body: { metadata: { labels: {} } } })
  await expect.poll(() => may('admin', 'get', 'example.org/things')).toBe(false)
})

test('a role gathers by labels and expressions, in the order of names, and never itself', () => {
  const rule = (resource: string) => ({ verbs: ['get'], apiGroups: [''], resources: [resource] })
  const clusterRoleSelectors = [
    { matchLabels: { a: 'b' }, matchExpressions: [{ key: 'off', operator: 'DoesNotExist' }] },
    { matchExpressions: [{ key: 'c', operator: 'In', values: ['d', 'e'] }] },
    { matchExpressions: [{ key: 'a', operator: 'Like', values: ['b'] }] },
  ]
  const self = {
    ...clusterRole('self', [rule('old')], { a: 'b' }),
    aggregationRule: { clusterRoleSelectors },
  }
  const all = [
    self,
    clusterRole('z', [rule('z'), rule('shared')], { a: 'b' }),
    clusterRole('y', [rule('y'), rule('shared')], { c: 'e' }),
    clusterRole('off', [rule('off')], { a: 'b', off: '' }),
    clusterRole('none', [rule('none')]),
  ]
  expect(aggregate(self, all).map(({ resources }) => resources?.[0])).toEqual(['y', 'shared', 'z'])
})

test('a table of subresources from elsewhere takes the place of ours', () => {
  const grants = [
    {
      resource: 'virtualmachines',
      subresource: 'fly/high',
      verbs: ['update' as const],
      roles: ['view' as const],
    },
  ]
  const view = bootstrapObjects(grants).find(({ metadata }) => metadata.name === 'kubevirt.io:view')
  expect(view).toMatchObject({
    rules: expect.arrayContaining([
      {
        verbs: ['update'],
        apiGroups: ['subresources.kubevirt.io'],
        resources: ['virtualmachines/fly', 'virtualmachines/fly/high'],
      },
    ]),
  })
})
