import { expect, test } from 'vitest'
import type { Vm } from '../../src/kinds/kubevirt.ts'
import { PODS, PVCS } from '../../src/kinds/table.ts'
import { ALICE, apiOf, BASE, vmiOf, vmOf } from '../helpers/api.ts'
import { objectOf } from '../instancetype/world.ts'

const configuration = { developerConfiguration: { featureGates: ['ObjectGraph'] } }
const spec = {
  domain: { devices: { tpm: { persistent: true } } },
  accessCredentials: [
    { sshPublicKey: { source: { secret: { secretName: 'keys' } }, propagationMethod: { noCloud: {} } } },
    { userPassword: { source: { secret: { secretName: 'pw' } }, propagationMethod: { qemuGuestAgent: {} } } },
  ],
  volumes: [
    { name: 'a', dataVolume: { name: 'dv' } },
    { name: 'b', persistentVolumeClaim: { claimName: 'pvc' } },
    { name: 'c', configMap: { name: 'cm' } },
    { name: 'd', secret: { secretName: 'sec' } },
    { name: 'e', serviceAccount: { serviceAccountName: 'sa' } },
    { name: 'f', cloudInitNoCloud: { secretRef: { name: 'user' }, networkDataSecretRef: { name: 'net' } } },
    { name: 'g', containerDisk: { image: 'x' } },
  ],
  networks: [
    { name: 'default', pod: {} },
    { name: 'n1', multus: { networkName: 'other/nad' } },
    { name: 'n2', multus: { networkName: 'own' } },
  ],
}
const vm = vmOf(
  {
    template: { spec },
    instancetype: { name: 'small' },
    preference: { name: 'linux', kind: 'VirtualMachinePreference', revisionName: 'pref-rev' },
  },
  { created: true, instancetypeRef: { name: 'small', controllerRevisionRef: { name: 'type-rev' } } },
)

interface Node {
  objectReference: { apiGroup: string; kind: string; name: string; namespace: string }
  labels: Record<string, string>
  optional?: boolean
  children?: Node[]
}

/** A graph as lines: depth, place of the object, and `?` where it is optional. */
function linesOf({
  objectReference: { apiGroup, kind, name, namespace },
  labels,
  optional,
  children = [],
}: Node): string[] {
  const type = labels['kubevirt.io/dependency-type']
  const line = `${[apiGroup, kind, namespace, name].join('/')} ${type}${optional ? '?' : ''}`
  return [line, ...children.flatMap(linesOf).map((below) => `  ${below}`)]
}

function serverOf(own: Vm | undefined = vm) {
  const api = apiOf({ vm: own, vmi: vmiOf('Running', { spec }), configuration })
  const labels = { 'kubevirt.io': 'virt-launcher' }
  const owner = { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachineInstance', name: 'vm1', uid: 'u1' }
  api.put(
    PODS,
    objectOf(PODS, 'virt-launcher-vm1-x', { metadata: { labels, ownerReferences: [owner] } }, 'ns1'),
  )
  const ofOther = { annotations: { 'kubevirt.io/domain': 'vm2' } }
  api.put(PODS, objectOf(PODS, 'virt-launcher-vm2-x', { metadata: { labels, ...ofOther } }, 'ns1'))
  return api
}

async function graph(
  path: string,
  {
    body,
    query = '',
    api = serverOf(),
  }: { body?: object | string; query?: string; api?: ReturnType<typeof apiOf> } = {},
) {
  const response = await api.app.inject({
    method: 'GET',
    url: `${BASE}/${path}/vm1/objectgraph${query}`,
    headers: ALICE,
    ...(body !== undefined && { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return { code: response.statusCode, body: response.json() }
}
const linesFor = async (...asked: Parameters<typeof graph>) => linesOf((await graph(...asked)).body)

const USED = [
  '/Secret/ns1/keys config',
  '/Secret/ns1/pw config',
  'cdi.kubevirt.io/DataVolume/ns1/dv storage',
  '  /PersistentVolumeClaim/ns1/dv storage',
  '/PersistentVolumeClaim/ns1/pvc storage',
  '/ConfigMap/ns1/cm config',
  '/Secret/ns1/sec config',
  '/ServiceAccount/ns1/sa config',
  '/Secret/ns1/user config',
  '/Secret/ns1/net config',
  'k8s.cni.cncf.io/NetworkAttachmentDefinition/other/nad network?',
  'k8s.cni.cncf.io/NetworkAttachmentDefinition/ns1/own network?',
].map((line) => `  ${line}`)

test('the graph of a VM has its guest, its references and what it uses, in order', async () => {
  const { code, body } = await graph('virtualmachines')
  expect(code).toBe(200)
  expect(Object.keys(body)).toEqual(['objectReference', 'labels', 'children'])
  expect(linesOf(body)).toEqual([
    'kubevirt.io/VirtualMachine/ns1/vm1 compute',
    '  kubevirt.io/VirtualMachineInstance/ns1/vm1 compute',
    '    /Pod/ns1/virt-launcher-vm1-x compute',
    '  instancetype.kubevirt.io/VirtualMachineClusterInstancetype//small config?',
    '  apps/ControllerRevision/ns1/type-rev config',
    '  instancetype.kubevirt.io/VirtualMachinePreference/ns1/linux config?',
    '  apps/ControllerRevision/ns1/pref-rev config',
    ...USED,
  ])
})

test('the graph of a VMI has its pod and what it uses', async () => {
  expect(await linesFor('virtualmachineinstances')).toEqual([
    'kubevirt.io/VirtualMachineInstance/ns1/vm1 compute',
    '  /Pod/ns1/virt-launcher-vm1-x compute',
    ...USED,
  ])
})

test('a VM that does not run has no guest, and one that uses nothing has no children', async () => {
  const { body } = await graph('virtualmachines', { api: serverOf(vmOf()) })
  expect(body).toEqual({
    objectReference: { apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name: 'vm1', namespace: 'ns1' },
    labels: { 'kubevirt.io/dependency-type': 'compute' },
  })
})

test('the claim that keeps the state of the TPM is told where there is one', async () => {
  const api = serverOf()
  const labels = { 'persistent-state-for': 'vm1' }
  api.put(PVCS, objectOf(PVCS, 'persistent-state-for-vm1-x', { metadata: { labels } }, 'ns1'))
  expect(await linesFor('virtualmachines', { api })).toContain(
    '  /PersistentVolumeClaim/ns1/persistent-state-for-vm1-x storage',
  )
})

const STORAGE = [
  'kubevirt.io/VirtualMachine/ns1/vm1 compute',
  '  cdi.kubevirt.io/DataVolume/ns1/dv storage',
  '    /PersistentVolumeClaim/ns1/dv storage',
  '  /PersistentVolumeClaim/ns1/pvc storage',
]
const key = 'kubevirt.io/dependency-type'

test.each<[string, Parameters<typeof graph>[1]]>([
  ['a body', { body: { labelSelector: { matchLabels: { [key]: 'storage' } } } }],
  ['a body in YAML', { body: `labelSelector:\n  matchLabels:\n    ${key}: storage\n` }],
  [
    'expressions',
    { body: { labelSelector: { matchExpressions: [{ key, operator: 'In', values: ['storage'] }] } } },
  ],
  ['the query', { query: `?labelSelector=${encodeURIComponent(`${key}=storage`)}` }],
])('a selector from %s drops what does not match, with its children', async (_from, asked) => {
  expect(await linesFor('virtualmachines', asked)).toEqual(STORAGE)
})

test.each<[string, Parameters<typeof graph>[1]]>([
  ['a body', { body: { includeOptionalNodes: false } }],
  ['the query', { query: '?includeOptionalNodes=false' }],
  [
    'a body, which counts more than the query',
    { body: { includeOptionalNodes: false }, query: '?includeOptionalNodes=true' },
  ],
])('optional nodes are dropped as %s says; revisions stay', async (_from, asked) => {
  const lines = await linesFor('virtualmachines', asked)
  expect(lines.filter((line) => line.endsWith('?'))).toEqual([])
  expect(lines).toContain('  apps/ControllerRevision/ns1/type-rev config')
})

test.each([
  ['an operator nobody knows', { matchExpressions: [{ key, operator: 'Near', values: ['storage'] }] }],
  ['no values', { matchExpressions: [{ key, operator: 'In' }] }],
  ['a key that is none', { matchLabels: { '!': 'storage' } }],
])('a selector with %s keeps everything', async (_what, labelSelector) => {
  const all = await linesFor('virtualmachines')
  expect(await linesFor('virtualmachines', { body: { labelSelector } })).toEqual(all)
})

test.each<[string, Parameters<typeof graph>[1], RegExp]>([
  ['a body that is no object', { body: '[]' }, /must be an object/],
  ['a wrong type', { body: { includeOptionalNodes: 'no' } }, /"includeOptionalNodes" must be true or false/],
  [
    'labels that are no map',
    { body: { labelSelector: { matchLabels: 'a=b' } } },
    /labelSelector\.matchLabels/,
  ],
  ['expressions that are no list', { body: { labelSelector: { matchExpressions: {} } } }, /matchExpressions/],
  [
    'values that are no texts',
    { body: { labelSelector: { matchExpressions: [{ key, operator: 'In', values: [1] }] } } },
    /matchExpressions/,
  ],
  ['a wrong query', { query: '?includeOptionalNodes=perhaps' }, /"perhaps": it must be true or false/],
])('%s is refused', async (_what, asked, message) => {
  const { code, body } = await graph('virtualmachines', asked)
  expect(code).toBe(400)
  expect(body).toMatchObject({ reason: 'BadRequest', message: expect.stringMatching(message) })
})

test.each(['virtualmachines', 'virtualmachineinstances'])(
  'without its gate there is no graph of %s',
  async (path) => {
    const { code, body } = await graph(path, { api: apiOf({ vm, vmi: vmiOf() }) })
    expect(code).toBe(400)
    expect(body.message).toMatch(/feature gate ObjectGraph is off/)
  },
)

test.each([
  ['virtualmachines', 'virtualmachine'],
  ['virtualmachineinstances', 'virtualmachineinstance'],
])('what is not there is not found: %s', async (path, kind) => {
  const { body } = await graph(path, { api: apiOf({ configuration }) })
  expect(body).toMatchObject({ code: 404, details: { kind, name: 'vm1' } })
})
