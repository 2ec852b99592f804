/** DataVolumes on a real store and real files; guests that read them are in `test/e2e/data-volumes.test.ts`. */
import { access, chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { DataVolume } from '../../../src/kinds/cdi.ts'
import { findCondition } from '../../../src/kinds/meta.ts'
import { DATA_VOLUMES, PVCS } from '../../../src/kinds/table.ts'
import { startWorld } from '../../helpers/controllers.ts'
import { turnUntil } from '../../helpers/fake-clock.ts'

type Spec = NonNullable<DataVolume['spec']>

async function volumeWorld() {
  const dir = await mkdtemp(join(tmpdir(), 'vg-data-volumes-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  await chmod(dir, 0o755)
  const claimsDir = join(dir, 'volumes')
  const world = await startWorld({ config: { claimsDir } })
  const make = (name: string, spec: Spec) =>
    world.store.create(DATA_VOLUMES, {
      apiVersion: 'cdi.kubevirt.io/v1beta1',
      kind: 'DataVolume',
      metadata: { namespace: 'default', name },
      spec,
    })
  const until = (name: string, phase: string) =>
    turnUntil(async () => {
      const found = await world.store.get(DATA_VOLUMES, 'default', name)
      return found?.status?.phase === phase && found
    })
  const bound = (name: string) =>
    turnUntil(async () => {
      const claim = await world.store.get(PVCS, 'default', name)
      return claim?.status?.phase === 'Bound' && claim
    })
  return { world, make, until, bound, image: (name: string) => join(claimsDir, 'default', name, 'disk.img') }
}

const size = (storage: string) => ({ resources: { requests: { storage } } })
const blank = { blank: {} }
const pvc = (name: string) => ({ pvc: { namespace: 'default', name } })

test('one that is to be empty has its claim, which is bound once it says so', async () => {
  const { world, make, until, bound } = await volumeWorld()
  await make('data', { storage: size('1Gi'), source: blank })
  const claim = await bound('data')
  expect((await until('data', 'Succeeded')).status?.claimName).toBe('data')
  expect(claim.spec).toMatchObject({ accessModes: ['ReadWriteOnce'], storageClassName: 'virtgate-local' })
  expect(claim.metadata.ownerReferences).toMatchObject([
    { kind: 'DataVolume', name: 'data', controller: true },
  ])
  expect(await world.reasons('data')).toContain('Completed')
})

test('a copy is as large as its source, and is there before the claim is bound', async () => {
  const { make, until, bound, image } = await volumeWorld()
  await make('first', { pvc: size('1Gi'), source: blank })
  await bound('first')
  await writeFile(image('first'), 'what it holds')
  await make('second', { storage: {}, source: pvc('first') })
  const claim = await bound('second')
  expect(claim.status?.capacity).toEqual({ storage: '1Gi' })
  expect(await readFile(image('second'), 'utf8')).toBe('what it holds')
  expect(await readdir(join(image('second'), '..'))).toEqual(['disk.img'])
  await until('second', 'Succeeded')
})

test('a copy waits for its source, and begins when that is there', async () => {
  const { world, make, until, bound, image } = await volumeWorld()
  await make('second', { storage: size('1Gi'), source: pvc('first') })
  const waiting = await until('second', 'Pending')
  expect(findCondition(waiting.status?.conditions, 'Ready')?.reason).toBe('CloneSourceNotFound')
  await make('first', { storage: size('1Gi'), source: blank })
  await bound('first')
  world.clock.advance(5_000)
  await until('second', 'Succeeded')
  // The source was never used: it has no image, and neither has its copy.
  await expect(access(image('second'))).rejects.toThrow('ENOENT')
})

test("a claim of that name that is somebody else's is left alone", async () => {
  const { world, make, until, bound } = await volumeWorld()
  const requests = size('1Gi')
  await world.store.create(PVCS, {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { namespace: 'default', name: 'data' },
    spec: { accessModes: ['ReadWriteOnce'], ...requests },
  })
  await bound('data')
  await make('data', { storage: requests, source: blank })
  const { status } = await until('data', 'Pending')
  expect(findCondition(status?.conditions, 'Ready')?.reason).toBe('ErrResourceExists')
})

test.each<[string, Spec, RegExp]>([
  [
    'the web',
    { storage: size('1Gi'), source: { http: { url: 'https://a/b' } } },
    /source\.http is not filled/,
  ],
  ['a registry', { storage: size('1Gi'), source: { registry: { url: 'docker://a' } } }, /source\.registry/],
  ['an upload', { storage: size('1Gi'), source: { upload: {} } }, /source\.upload/],
  ['nowhere', { storage: size('1Gi') }, /no source/],
  ['an archive', { storage: size('1Gi'), source: blank, contentType: 'archive' }, /archive/],
  [
    "the claim's own source",
    { storage: { ...size('1Gi'), dataSource: { kind: 'PersistentVolumeClaim', name: 'a' } } },
    /dataSource/,
  ],
  ['nothing, and of no size', { storage: {}, source: blank }, /how large/],
])('what is to come from %s fails, and says what to do', async (_where, spec, message) => {
  const { world, make, until } = await volumeWorld()
  await make('data', spec)
  const { status } = await until('data', 'Failed')
  expect(findCondition(status?.conditions, 'Ready')?.message).toMatch(message)
  expect(await world.store.get(PVCS, 'default', 'data')).toBeUndefined()
})
