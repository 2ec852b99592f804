/** VMs whose disks are copies of claims: DataVolumes and DataSources of an embedded server, which has no CDI. */
import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { DataVolume } from '../../src/kinds/cdi.ts'
import type { PersistentVolumeClaim } from '../../src/kinds/core.ts'
import type { Vm } from '../../src/kinds/kubevirt.ts'
import { findCondition } from '../../src/kinds/meta.ts'
import { requireQemu } from '../helpers/guest.ts'
import { eventually, guestPids, kubectl, startServer, type TestServer } from '../helpers/server.ts'
import { awaitPhase, helloVm, openConsole, paths } from '../helpers/vms.ts'

const CDI = 'cdi.kubevirt.io/v1beta1'
const MIB = 2 ** 20
const LABEL = 'GOLDEN-IMAGE'

const metadata = (name: string, namespace = 'default') => ({ name, namespace })

const claim = (name: string, namespace: string, storage: string) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: metadata(name, namespace),
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
})

const dataSource = (name: string, source: object, namespace = 'default') => ({
  apiVersion: CDI,
  kind: 'DataSource',
  metadata: metadata(name, namespace),
  spec: { source },
})

const dataVolume = (name: string, spec: object) => ({
  apiVersion: CDI,
  kind: 'DataVolume',
  metadata: metadata(name),
  spec,
})

/** A VM whose second disk is filled by a DataVolume. */
function vmWith(name: string, spec: object, runStrategy = 'Always') {
  const vm = helloVm(name, { runStrategy })
  const { domain } = vm.spec.template.spec
  const devices = { ...domain.devices, disks: [{ name: 'root', disk: { bus: 'virtio' } }] }
  const volumes = [{ name: 'root', dataVolume: { name: `${name}-root` } }]
  const template = { spec: { ...vm.spec.template.spec, domain: { ...domain, devices }, volumes } }
  const dataVolumeTemplates = [{ metadata: { name: `${name}-root` }, spec }]
  return { ...vm, spec: { ...vm.spec, template, dataVolumeTemplates } }
}

function apply(server: TestServer, ...objects: object[]) {
  const items = { apiVersion: 'v1', kind: 'List', items: objects }
  return kubectl(server, ['apply', '-f', '-'], JSON.stringify(items))
}

async function applied(server: TestServer, ...objects: object[]): Promise<void> {
  const { status, stderr } = apply(server, ...objects)
  expect([status, stderr]).toEqual([0, ''])
}

const read = <T>(server: TestServer, path: string) => server.client.call<T>({ method: 'GET', path })
const readVolume = (server: TestServer, name: string) =>
  read<DataVolume>(server, `/apis/${CDI}/namespaces/default/datavolumes/${name}`)
const readClaim = (server: TestServer, name: string, namespace = 'default') =>
  read<PersistentVolumeClaim>(server, `/api/v1/namespaces/${namespace}/persistentvolumeclaims/${name}`)
const imageOf = (server: TestServer, namespace: string, name: string) =>
  join(server.data, 'guests', 'volumes', namespace, name, 'disk.img')

/** The first line of a claim's image. */
async function beginningOf(server: TestServer, namespace: string, name: string): Promise<string> {
  await using image = await open(imageOf(server, namespace, name))
  const { buffer } = await image.read({ buffer: Buffer.alloc(64), position: 0 })
  return buffer.toString('latin1')
}

function volumeIn(server: TestServer, name: string, ...phases: string[]) {
  return eventually(`the DataVolume ${name} is ${phases.join(' or ')}`, 20_000, async () => {
    const found = await readVolume(server, name)
    return phases.includes(found.status?.phase ?? '') && found
  })
}

/** A claim of a namespace of its own whose image begins with a text that a guest can read. */
async function makeGolden(server: TestServer): Promise<void> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'golden' } }
  await applied(server, namespace, claim('image', 'golden', '16Mi'))
  await eventually('the golden claim is bound', 10_000, async () => {
    return (await readClaim(server, 'image', 'golden')).status?.phase === 'Bound'
  })
  await using image = await open(imageOf(server, 'golden', 'image'), 'w')
  await image.write(`${LABEL}\n`)
  await image.truncate(16 * MIB)
}

const storage = (size?: string) => ({ storage: size ? { resources: { requests: { storage: size } } } : {} })
const sourceRef = { kind: 'DataSource', name: 'newest' }

requireQemu()('a VM whose disk comes from a DataSource', () => {
  test('boots with a copy of its own of the claim that the DataSource names, once it may', async () => {
    await using server = await startServer()
    await makeGolden(server)
    await applied(server, dataSource('newest', { pvc: metadata('image', 'golden') }))
    await applied(server, vmWith('web', { ...storage('24Mi'), sourceRef }))

    // The VM was written by an administrator; what is done for it later takes the right of its service account.
    const refused = await eventually('the VM says why it cannot start', 20_000, async () => {
      const { status } = await read<Vm>(server, paths('web').vm)
      return findCondition(status?.conditions, 'Failure')?.message
    })
    expect(refused).toContain('"system:serviceaccount:default:default"')
    expect(refused).toContain('datavolumes/source')
    await applied(
      server,
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: metadata('cloner', 'golden'),
        rules: [{ apiGroups: ['cdi.kubevirt.io'], resources: ['datavolumes/source'], verbs: ['create'] }],
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: metadata('cloner', 'golden'),
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'cloner' },
        subjects: [{ kind: 'ServiceAccount', namespace: 'default', name: 'default' }],
      },
    )

    await awaitPhase(server.client, 'web', 'Running')
    const made = await volumeIn(server, 'web-root', 'Succeeded')
    expect(made.spec?.source).toEqual({ pvc: { namespace: 'golden', name: 'image' } })
    expect(made.status).toMatchObject({ progress: '100.0%', claimName: 'web-root' })
    expect(findCondition(made.status?.conditions, 'Ready')?.status).toBe('True')
    expect((await readClaim(server, 'web-root')).metadata.ownerReferences?.[0]).toMatchObject({
      kind: 'DataVolume',
      name: 'web-root',
      controller: true,
    })

    const console = await openConsole(server.client, 'web')
    await console.sees(/GUEST-READY/)
    console.type(
      `head -n 1 /dev/vda; echo size-$(cat /sys/block/vda/size); echo mine | dd of=/dev/vda conv=fsync`,
    )
    await console.sees(new RegExp(`${LABEL}\\r?\\n[^]*size-${(24 * MIB) / 512}`))
    await eventually('what the guest writes is in its copy', 20_000, async () => {
      return (await beginningOf(server, 'default', 'web-root')).startsWith('mine')
    })
    expect(await beginningOf(server, 'golden', 'image')).toContain(LABEL)
    // Holes stay holes.
    expect((await stat(imageOf(server, 'default', 'web-root'))).blocks * 512).toBeLessThan(4 * MIB)

    await server.client.call({ method: 'DELETE', path: paths('web').vm })
    await eventually('claim and DataVolume go with the VM', 30_000, async () => {
      return kubectl(server, ['get', 'dv,pvc', '-o', 'name']).stdout === ''
    })
  })

  test('that names a snapshot, or is not there, says so and starts no guest', async () => {
    await using server = await startServer()
    await applied(server, dataSource('newest', { snapshot: metadata('snap') }))
    await applied(server, vmWith('web', { ...storage('16Mi'), sourceRef }))
    await applied(server, vmWith('lost', { ...storage('16Mi'), sourceRef: { ...sourceRef, name: 'absent' } }))
    const failed = await volumeIn(server, 'web-root', 'Failed')
    expect(findCondition(failed.status?.conditions, 'Ready')).toMatchObject({
      reason: 'UnsupportedSource',
      message: expect.stringMatching(/source\.snapshot is not filled here: use source\.pvc/),
    })
    await eventually('the VM says so', 20_000, async () => {
      const { status } = await read<Vm>(server, paths('web').vm)
      return status?.printableStatus === 'DataVolumeError'
    })
    await eventually('the other VM says what is missing', 20_000, async () => {
      const { status } = await read<Vm>(server, paths('lost').vm)
      return findCondition(status?.conditions, 'Failure')?.message?.includes('"absent" not found')
    })
    expect(guestPids(server.data)).toEqual([])
    expect(kubectl(server, ['get', 'pvc', '-o', 'name']).stdout).toBe('')
  })
})

requireQemu()('a DataVolume', () => {
  test('is filled when the guest that uses its source has ended', async () => {
    await using server = await startServer()
    await applied(server, vmWith('first', { ...storage('16Mi'), source: { blank: {} } }, 'Manual'))
    await volumeIn(server, 'first-root', 'Succeeded')
    await server.client.call({ method: 'PUT', path: paths('first').onVm('start'), body: {} })
    await awaitPhase(server.client, 'first', 'Running')
    const console = await openConsole(server.client, 'first')
    await console.sees(/GUEST-READY/)
    const pvc = metadata('first-root')
    await applied(server, dataVolume('second', { ...storage(), source: { pvc } }))
    const waiting = await volumeIn(server, 'second', 'CloneScheduled')
    expect(findCondition(waiting.status?.conditions, 'Ready')?.reason).toBe('CloneSourceInUse')
    expect((await readClaim(server, 'second')).status?.phase).toBe('Pending')
    console.type(`echo last-words | dd of=/dev/vda conv=fsync; echo is-writ""ten`)
    await console.sees(/is-written/)
    await server.client.call({ method: 'PUT', path: paths('first').onVm('stop'), body: {} })
    await volumeIn(server, 'second', 'Succeeded')
    await eventually('its claim is bound', 10_000, async () => {
      const { status } = await readClaim(server, 'second')
      return status?.phase === 'Bound' && status.capacity?.['storage'] === '16Mi'
    })
    expect(await beginningOf(server, 'default', 'second')).toContain('last-words')
  })

  test('waits for room in the quota, and says so', async () => {
    await using server = await startServer()
    const quota = (most: string) => ({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: metadata('storage'),
      spec: { hard: { 'requests.storage': most } },
    })
    await applied(server, quota('8Mi'))
    await applied(server, dataVolume('big', { ...storage('16Mi'), source: { blank: {} } }))
    const waiting = await volumeIn(server, 'big', 'Pending')
    expect(findCondition(waiting.status?.conditions, 'Ready')).toMatchObject({
      reason: 'ErrExceededQuota',
      message: expect.stringContaining('requests.storage'),
    })
    await applied(server, quota('32Mi'))
    await volumeIn(server, 'big', 'Succeeded')
  })

  test('that people write may have what they may have, and stays as it was written', async () => {
    await using server = await startServer()
    await makeGolden(server)
    const written = dataVolume('own', { ...storage(), sourceRef })
    expect(apply(server, written).stderr).toContain('there is no DataSource "newest"')
    await applied(server, dataSource('newest', { pvc: metadata('image', 'golden') }))
    const user = ['--as', 'jane', '--as-group', 'writers']
    kubectl(server, [
      'create',
      'clusterrole',
      'writers',
      '--verb=*',
      '--resource=datavolumes.cdi.kubevirt.io',
    ])
    kubectl(server, ['create', 'rolebinding', 'writers', '--clusterrole=writers', '--group=writers'])
    const { stderr } = kubectl(server, ['create', ...user, '-f', '-'], JSON.stringify(written))
    expect(stderr).toMatch(/forbidden.*"jane" cannot create resource "datavolumes\/source"/is)

    await applied(server, written)
    await volumeIn(server, 'own', 'Succeeded')
    expect(await beginningOf(server, 'default', 'own')).toContain(LABEL)
    // Applied again as it was written, although the server has added where the data came from.
    await applied(server, written)
    expect(apply(server, dataVolume('own', { ...storage('1Gi'), sourceRef })).stderr).toContain(
      'the spec of a DataVolume cannot be changed',
    )
    expect(apply(server, dataVolume('small', { ...storage('1Mi'), sourceRef })).status).toBe(0)
    expect(
      findCondition((await volumeIn(server, 'small', 'Failed')).status?.conditions, 'Ready')?.message,
    ).toMatch(/less than the 16Mi of its source/)
  })
})
