/**
 * Security checklist, B7: what an object names in another namespace is looked at, cloned and used with the rights of who
 * writes it. A whole `virtgate apiserver` reviews over real TLS, and a real Kubernetes API decides by its roles. What the
 * controller does later, with the rights of a VM's service account, is in `test/controllers/vm/other-namespaces.test.ts`, where
 * DataSources lead in `test/instancetype/clone-sources.test.ts`;
 * Secrets and ConfigMaps, which have no namespace to name, are in `b-authorization.test.ts`.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { GROUP } from '../../src/http/group.ts'
import type { PolicyRule } from '../../src/kinds/core.ts'
import { copyJson, type JsonRecord } from '../../src/lib/json.ts'
import { openFrontDoor, type FrontDoor } from '../helpers/front-door.ts'
import type { RawClient } from '../helpers/front-proxy.ts'
import { edited, type Edits } from '../helpers/rule-cases.ts'
import { readTargets, reviewOf, type Target } from '../helpers/vectors.ts'

const RBAC = 'rbac.authorization.k8s.io'
const CDI = 'cdi.kubevirt.io'
const NADS = 'k8s.cni.cncf.io'
const targets = readTargets()

const CLONE: PolicyRule = { apiGroups: [CDI], resources: ['datavolumes/source'], verbs: ['create'] }
const ATTACH: PolicyRule = {
  apiGroups: [NADS],
  resources: ['network-attachment-definitions'],
  verbs: ['get'],
}
const reading = (group: string, resource: string): PolicyRule => ({
  apiGroups: [group],
  resources: [resource],
  verbs: ['get'],
})
const LABELS = { 'instancetype.kubevirt.io/default-instancetype': 'big' }

let door: FrontDoor
let port: RawClient

beforeAll(async () => {
  door = await openFrontDoor()
  port = await door.connect({}, door.webhookPort)
  await create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'golden' } })
  const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } }
  const place = (name: string, labels = {}) => ({ metadata: { name, labels } })
  await create('/api/v1/namespaces/golden/persistentvolumeclaims', {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    ...place('image', LABELS),
    spec: claim,
  })
  const claimed = { pvc: { namespace: 'golden', name: 'image' } }
  await create(`/apis/${CDI}/v1beta1/namespaces/default/datavolumes`, {
    apiVersion: `${CDI}/v1beta1`,
    kind: 'DataVolume',
    ...place('copied'),
    spec: { source: claimed, storage: {} },
  })
})
afterAll(() => door[Symbol.asyncDispose]())

async function create(path: string, body: object): Promise<void> {
  await door.objects.client.call({ method: 'POST', path, body })
}

/** Gives a user a right in `golden` alone. */
async function grant(user: string, rule: PolicyRule): Promise<void> {
  const common = { apiVersion: `${RBAC}/v1`, metadata: { name: user } }
  const path = `/apis/${RBAC}/v1/namespaces/golden`
  await create(`${path}/roles`, { ...common, kind: 'Role', rules: [rule] })
  const roleRef = { apiGroup: RBAC, kind: 'Role', name: user }
  const subjects = [{ kind: 'User', apiGroup: RBAC, name: user }]
  await create(`${path}/rolebindings`, { ...common, kind: 'RoleBinding', roleRef, subjects })
}

interface Verdict {
  allowed: boolean
  status?: { code?: number; message?: string }
  patch?: string
}

interface Case {
  target: string
  edits: Edits
  /** What of another namespace is named, and where. */
  names: { field: string; name: string }
  right: PolicyRule
  /** Words of the refusal. */
  missing: RegExp
}

async function review({ target, edits }: Case, user: string, old?: JsonRecord): Promise<Verdict> {
  const given = targets[target]
  if (!given) throw new Error(`there is no target ${target}`)
  const asked: Target = {
    ...given,
    user: { username: user, groups: ['system:authenticated'] },
    ...(old && { operation: 'UPDATE', oldObject: old }),
  }
  const { code, body } = await port.send('POST', given.path, reviewOf(asked, edited(given.object, edits)))
  expect(code).toBe(200)
  return JSON.parse(body).response
}

const template = (spec: object) => [{ metadata: { name: 'root' }, spec: { storage: {}, ...spec } }]
const volumes = [{ name: 'root', dataVolume: { name: 'root' } }]
const withDisk = (spec: object): Edits => ({
  'spec.dataVolumeTemplates': template(spec),
  'spec.template.spec.volumes': volumes,
  'spec.template.spec.domain.devices.disks': [{ name: 'root', disk: { bus: 'virtio' } }],
})
const dataOf = (source: object, member: string, name: string): Case => ({
  target: 'vm-minimal',
  edits: withDisk(source),
  names: { field: `spec.dataVolumeTemplates[0].spec.${member}`, name },
  right: CLONE,
  missing: /cannot create resource "datavolumes\/source" in API group "cdi\.kubevirt\.io"/,
})
const reference = { apiGroup: '', kind: 'PersistentVolumeClaim', namespace: 'golden', name: 'image' }
const networks = [{ name: 'red', multus: { networkName: 'golden/red' } }]
const interfaces = [{ name: 'red', bridge: {} }]
const onNetwork = (target: string, at: string): Case => ({
  target,
  edits: { [`${at}.networks`]: networks, [`${at}.domain.devices.interfaces`]: interfaces },
  names: { field: `${at}.networks[0].multus.networkName`, name: 'red' },
  right: ATTACH,
  missing: /cannot get resource "network-attachment-definitions" in API group "k8s\.cni\.cncf\.io"/,
})

const CASES: [string, Case][] = [
  [
    'the claim of a DataVolume',
    dataOf({ source: { pvc: { namespace: 'golden', name: 'image' } } }, 'source.pvc', 'image'),
  ],
  [
    'a claim that is not there',
    dataOf({ source: { pvc: { namespace: 'golden', name: 'none' } } }, 'source.pvc', 'none'),
  ],
  [
    'the snapshot of a DataVolume',
    dataOf({ source: { snapshot: { namespace: 'golden', name: 'snap' } } }, 'source.snapshot', 'snap'),
  ],
  [
    'the DataSource of a DataVolume',
    dataOf({ sourceRef: { kind: 'DataSource', namespace: 'golden', name: 'newest' } }, 'sourceRef', 'newest'),
  ],
  [
    'the data source of a claim',
    dataOf({ storage: { dataSourceRef: reference } }, 'storage.dataSourceRef', 'image'),
  ],
  ['the network of a VM', onNetwork('vm-minimal', 'spec.template.spec')],
  ['the network of a VMI', onNetwork('vmi-minimal', 'spec')],
  ['the network of a replica set', onNetwork('vmirs', 'spec.template.spec')],
  ['the network of a pool', onNetwork('pool', 'spec.virtualMachineTemplate.spec.template.spec')],
]

describe.each(CASES)('B7: %s in another namespace', (_what, given) => {
  const id = `u${CASES.findIndex(([, other]) => other === given)}`

  test('is refused to who has no right there, naming what was asked and which right is missing', async () => {
    await grant(`wrong-${id}`, reading('', 'configmaps'))
    for (const user of [`none-${id}`, `wrong-${id}`]) {
      const { allowed, status } = await review(given, user)
      expect([allowed, status?.code]).toEqual([false, 403])
      expect(status?.message).toContain(
        `${given.names.field} names "${given.names.name}" of the namespace "golden"`,
      )
      expect(status?.message).toMatch(given.missing)
      expect(status?.message).toContain(`"${user}"`)
    }
  })

  test('is admitted for who has that right there', async () => {
    await grant(`right-${id}`, given.right)
    expect(await review(given, `right-${id}`)).toMatchObject({ allowed: true })
  })

  test('is no matter where it was named before', async () => {
    const before = edited(targets[given.target]?.object, given.edits)
    const changed = { ...given, edits: { ...given.edits, 'metadata.annotations': { a: 'b' } } }
    if (given.target === 'vmi-minimal') changed.target = 'vmi-update-cirros'
    const old = given.target === 'vmi-minimal' ? edited(targets[changed.target]?.object, given.edits) : before
    expect((await review(changed, `none-${id}`, copyJson(old))).status?.code).not.toBe(403)
  })
})

test('B7: what stands in the own namespace takes no right of its own', async () => {
  const own = dataOf({ source: { pvc: { namespace: 'default', name: 'image' } } }, '', '')
  expect(await review(own, 'nobody-here')).toMatchObject({ allowed: true })
  const unsaid = dataOf({ sourceRef: { kind: 'DataSource', name: 'absent' } }, '', '')
  expect(await review(unsaid, 'nobody-here')).toMatchObject({ allowed: true })
})

test('B7: who names more things of other namespaces than anybody needs is not asked about', async () => {
  const one = (name: string) => ({
    metadata: { name },
    spec: { storage: {}, source: { pvc: { namespace: 'golden', name } } },
  })
  const names = Array.from({ length: 65 }, (_, at) => `v${at}`)
  const edits = {
    'spec.dataVolumeTemplates': names.map(one),
    'spec.template.spec.volumes': names.map((name) => ({ name, dataVolume: { name } })),
  }
  await grant('greedy', CLONE)
  const { allowed, status } = await review({ ...dataOf({}, '', ''), edits }, 'greedy')
  expect([allowed, status?.code]).toEqual([false, 400])
  expect(status?.message).toMatch(/more than 64 things of other namespaces/)
})

describe('B7: the labels of a volume in another namespace', () => {
  const inferring = (edits: Edits): Case => ({
    ...dataOf({}, '', ''),
    target: 'vm-mutate-minimal',
    edits: {
      'spec.template.spec.volumes': [{ name: 'root', dataVolume: { name: 'copied' } }],
      ...edits,
      'spec.template.spec.domain.resources': undefined,
      'spec.instancetype': { inferFromVolume: 'root', inferFromVolumeFailurePolicy: 'Ignore' },
    },
  })
  const patchOf = ({ patch = '' }: Verdict) => Buffer.from(patch, 'base64').toString()
  const claim = reading('', 'persistentvolumeclaims')

  test.each([
    ['a DataVolume', {}, claim, /get resource "persistentvolumeclaims"/],
    [
      'the template of one',
      withDisk({ source: { pvc: { namespace: 'golden', name: 'image' } } }),
      CLONE,
      /datavolumes\/source/,
    ],
  ])('are not read through %s by who has no right there', async (what, edits, right, missing) => {
    const id = what.replaceAll(' ', '-').toLowerCase()
    const refused = await review(inferring(edits), `none-${id}`)
    expect([refused.allowed, refused.status?.code, refused.patch]).toEqual([false, 403, undefined])
    expect(refused.status?.message).toMatch(missing)
    expect(JSON.stringify(refused)).not.toContain('big')
    await grant(`right-${id}`, right)
    const admitted = await review(inferring(edits), `right-${id}`)
    expect(admitted).toMatchObject({ allowed: true })
    expect(patchOf(admitted)).toContain('"path":"/spec/instancetype/name","value":"big"')
  })

  test('are read by who may clone the volume: that tells all', async () => {
    await grant('cloner', CLONE)
    expect(patchOf(await review(inferring({}), 'cloner'))).toContain(
      '"path":"/spec/instancetype/name","value":"big"',
    )
  })

  test('are not read through the API either', async () => {
    const path = `/apis/${GROUP}/v1/namespaces/default/expand-vm-spec`
    await create(`/apis/${RBAC}/v1/namespaces/default/roles`, {
      apiVersion: `${RBAC}/v1`,
      kind: 'Role',
      metadata: { name: 'expander' },
      rules: [{ apiGroups: [GROUP], resources: ['expand-vm-spec'], verbs: ['update'] }],
    })
    await create(`/apis/${RBAC}/v1/namespaces/default/rolebindings`, {
      apiVersion: `${RBAC}/v1`,
      kind: 'RoleBinding',
      metadata: { name: 'expander' },
      roleRef: { apiGroup: RBAC, kind: 'Role', name: 'expander' },
      subjects: [{ kind: 'User', apiGroup: RBAC, name: 'expander' }],
    })
    await create('/apis/instancetype.kubevirt.io/v1beta1/virtualmachineclusterinstancetypes', {
      apiVersion: 'instancetype.kubevirt.io/v1beta1',
      kind: 'VirtualMachineClusterInstancetype',
      metadata: { name: 'big' },
      spec: { cpu: { guest: 7 }, memory: { guest: '1Gi' } },
    })
    const vm = edited(targets['vm-minimal']?.object, inferring({}).edits)
    const expand = async () => {
      const client = await door.connect(door.proxy)
      const lines = ['X-Remote-User: expander', 'Content-Type: application/json']
      const answer = await client.ask('PUT', path, lines, JSON.stringify(vm))
      client.socket.destroy()
      return answer
    }
    const refused = await expand()
    expect([refused.code, JSON.parse(refused.body).reason]).toEqual([403, 'Forbidden'])
    expect(refused.body).not.toContain('big')
  })
})
