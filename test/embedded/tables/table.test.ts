import { expect, test } from 'vitest'
import { buildPrinter, columnsOf } from '../../../src/embedded/tables/table.ts'
import type { Kind } from '../../../src/kinds/kind.ts'
import type { KubeObject } from '../../../src/kinds/meta.ts'
import * as table from '../../../src/kinds/table.ts'

const NOW = Date.parse('2026-01-01T01:00:00Z')
const AN_HOUR_AGO = '2026-01-01T00:00:00Z'

/** The cells of an object by the names of their columns; the wide ones, too. */
function cells(kind: Kind, members: object, metadata: object = {}): Record<string, unknown> {
  const object = { metadata: { name: 'a', creationTimestamp: AN_HOUR_AGO, ...metadata }, ...members }
  const { columnDefinitions = [], rows } = buildPrinter(kind).print(
    // Rows are made of whatever members there are.
    [object as unknown as KubeObject],
    {},
    { version: 'v1', includeObject: 'None', now: NOW },
  )
  return Object.fromEntries(columnDefinitions.map(({ name }, index) => [name, rows[0]?.cells[index]]))
}

test.each<[string, Kind, object, object]>([
  [
    'a namespace',
    table.NAMESPACES,
    { status: { phase: 'Active' } },
    { Name: 'a', Status: 'Active', Age: '60m' },
  ],
  ['a Secret', table.SECRETS, { type: 'Opaque', data: { a: '', b: '' } }, { Type: 'Opaque', Data: 2 }],
  ['an empty Secret', table.SECRETS, {}, { Type: null, Data: 0 }],
  ['a ConfigMap', table.CONFIGMAPS, { data: { a: '' }, binaryData: { b: '' } }, { Data: 2, Age: '60m' }],
  ['a service account', table.SERVICE_ACCOUNTS, { secrets: [{}] }, { Secrets: 1 }],
  ['a lease', table.LEASES, { spec: { holderIdentity: 'me' } }, { Holder: 'me' }],
  ['a role', table.ROLES, {}, { Name: 'a', 'Created At': AN_HOUR_AGO }],
  [
    'a priority class',
    table.PRIORITY_CLASSES,
    { value: 7, globalDefault: false },
    { Value: 7, 'Global-Default': false },
  ],
])('%s is shown as kubectl shows it', (_what, kind, members, expected) => {
  expect(cells(kind, members)).toMatchObject(expected)
})

test('an event says when, what and about whom, and not its own name at first', () => {
  const event = {
    involvedObject: { kind: 'VirtualMachine', name: 'web' },
    type: 'Normal',
    reason: 'Started',
    message: 'it runs\n',
    count: 3,
    firstTimestamp: AN_HOUR_AGO,
    lastTimestamp: '2026-01-01T00:59:30Z',
    source: { component: 'controller', host: 'n1' },
  }
  expect(cells(table.EVENTS, event)).toEqual({
    'Last Seen': '30s',
    Type: 'Normal',
    Reason: 'Started',
    Object: 'virtualmachine/web',
    Subobject: null,
    Source: 'controller, n1',
    Message: 'it runs',
    'First Seen': '60m',
    Count: 3,
    Name: 'a',
  })
  expect(columnsOf(table.EVENTS)[0]?.name).toBe('Last Seen')
  expect(cells(table.EVENTS, { involvedObject: {} })).toMatchObject({ 'Last Seen': '<unknown>', Object: '' })
})

const ready = (status: string) => ({ conditions: [{ type: 'Ready', status }] })
test.each([
  ['ready', { status: ready('True') }, 'Ready'],
  ['not ready', { status: ready('Unknown') }, 'NotReady'],
  ['silent', {}, 'Unknown'],
  ['closed', { status: ready('True'), spec: { unschedulable: true } }, 'Ready,SchedulingDisabled'],
])('a node that is %s says so', (_what, members, status) => {
  expect(cells(table.NODES, members)).toMatchObject({ Status: status, Roles: '<none>' })
})

test('a node says its roles, versions and addresses', () => {
  const labels = { 'node-role.kubernetes.io/worker': '', 'node-role.kubernetes.io/control-plane': '' }
  const status = {
    nodeInfo: { kubeletVersion: 'v1.34.0', osImage: 'Debian' },
    addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
  }
  expect(cells(table.NODES, { status }, { labels })).toMatchObject({
    Roles: 'control-plane,worker',
    Version: 'v1.34.0',
    'Internal-IP': '10.0.0.1',
    'External-IP': '<none>',
    'OS-Image': 'Debian',
    'Kernel-Version': '<unknown>',
  })
})

test('a claim says what it has got', () => {
  const claim = {
    spec: { volumeName: 'v', storageClassName: 'fast', volumeMode: 'Block' },
    status: { phase: 'Bound', capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce', 'Other'] },
  }
  expect(cells(table.PVCS, claim)).toMatchObject({
    Status: 'Bound',
    Volume: 'v',
    Capacity: '1Gi',
    'Access Modes': 'RWO,Other',
    StorageClass: 'fast',
    VolumeAttributesClass: '<unset>',
    VolumeMode: 'Block',
  })
  expect(cells(table.PVCS, {}, { deletionTimestamp: AN_HOUR_AGO })).toMatchObject({ Status: 'Terminating' })
})

test('a quota says what is used of what', () => {
  const status = { hard: { pods: '3', 'limits.cpu': '4' }, used: { pods: '1' } }
  expect(cells(table.RESOURCE_QUOTAS, { status })).toMatchObject({
    Request: 'pods: 1/3',
    Limit: 'limits.cpu: 0/4',
  })
})

test('a binding says its role and whom it binds', () => {
  const binding = {
    roleRef: { kind: 'ClusterRole', name: 'edit' },
    subjects: [
      { kind: 'User', name: 'alice' },
      { kind: 'User', name: 'bob' },
      { kind: 'ServiceAccount', name: 'robot', namespace: 'ns1' },
    ],
  }
  expect(cells(table.ROLE_BINDINGS, binding)).toMatchObject({
    Role: 'ClusterRole/edit',
    Users: 'alice, bob',
    Groups: '',
    ServiceAccounts: 'ns1/robot',
  })
})

test('a revision says whose it is', () => {
  const ownerReferences = [
    { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', name: 'web', uid: 'u', controller: true },
  ]
  expect(cells(table.CONTROLLER_REVISIONS, { revision: 4 }, { ownerReferences })).toMatchObject({
    Controller: 'virtualmachine.kubevirt.io/web',
    Revision: 4,
  })
  expect(cells(table.CONTROLLER_REVISIONS, { revision: 4 })).toMatchObject({ Controller: '<none>' })
})

test('a VM has the columns of its custom resource definition', () => {
  expect(columnsOf(table.VMS).map(({ name }) => name)).toEqual(['Name', 'Age', 'Status', 'Ready'])
  const status = { printableStatus: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }
  expect(cells(table.VMS, { status })).toEqual({ Name: 'a', Age: '60m', Status: 'Running', Ready: 'True' })
  expect(cells(table.VMS, {})).toMatchObject({ Status: null, Ready: null })
})

test('a VMI shows more to who wants more', () => {
  const wide = columnsOf(table.VMIS).filter(({ priority }) => priority > 0)
  expect(wide.map(({ name }) => name)).toEqual(['Live-Migratable', 'Paused'])
})

test('a kind without columns has its name and its age', () => {
  const [kind] = table.KINDS.filter(({ kind }) => kind === 'VirtualMachineInstancetype')
  expect(kind && columnsOf(kind).map(({ name }) => name)).toEqual(['Name', 'Age'])
})

test('cells of the wrong type stay empty instead of lying', () => {
  const replicas = table.KINDS.find(({ kind }) => kind === 'VirtualMachineInstanceReplicaSet')
  if (!replicas) throw new Error('there is no such kind')
  expect(cells(replicas, { spec: { replicas: 'three' }, status: { readyReplicas: 2.5 } })).toMatchObject({
    Desired: null,
    Ready: 2,
  })
  expect(cells(table.VMS, { status: { printableStatus: { a: 1 } } })).toMatchObject({ Status: '{"a":1}' })
})
