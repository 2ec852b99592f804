import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Draft } from '../../../src/kinds/meta.ts'
import type { PersistentVolumeClaim } from '../../../src/kinds/core.ts'
import { PVCS, VMIS } from '../../../src/kinds/table.ts'
import { buildVmi, startWorld } from '../../helpers/controllers.ts'
import { turnUntil } from '../../helpers/fake-clock.ts'

function claim(
  name: string,
  storage: string,
  spec: Record<string, unknown> = {},
): Draft<PersistentVolumeClaim> {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { namespace: 'default', name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } }, ...spec },
  }
}

async function claimWorld() {
  const dir = await mkdtemp(join(tmpdir(), 'vg-claims-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  await chmod(dir, 0o755)
  const claimsDir = join(dir, 'volumes')
  const world = await startWorld({ config: { claimsDir } })
  const until = (name: string, holds: (claim: PersistentVolumeClaim) => boolean) =>
    turnUntil(async () => {
      const found = await world.store.get(PVCS, 'default', name)
      return found && holds(found) && found
    })
  const gone = (name: string) => turnUntil(async () => !(await world.store.get(PVCS, 'default', name)))
  return { world, claimsDir, until, gone }
}

test.each([
  ['without a class', {}],
  ['of our class', { storageClassName: 'virtgate-local' }],
])('a claim %s is bound to a directory that others pass through', async (_what, spec) => {
  const { world, claimsDir, until } = await claimWorld()
  await world.store.create(PVCS, claim('data', '1536Mi', spec))
  const bound = await until('data', ({ status }) => status?.phase === 'Bound')
  expect(bound).toMatchObject({
    metadata: { finalizers: ['virtgate.io/local-volume'] },
    spec: { storageClassName: 'virtgate-local' },
    status: { capacity: { storage: '1536Mi' }, accessModes: ['ReadWriteOnce'] },
  })
  for (const folder of ['', 'default', 'default/data']) {
    expect((await stat(join(claimsDir, folder))).mode & 0o777).toBe(0o711)
  }
})

test('a claim grows and does not shrink', async () => {
  const { world, until } = await claimWorld()
  await world.store.create(PVCS, claim('data', '1Gi'))
  const ask = async (storage: string) => {
    const held = await until('data', ({ status }) => status?.phase === 'Bound')
    await world.store.update(PVCS, { ...held, spec: { ...held.spec, resources: { requests: { storage } } } })
  }
  await ask('2Gi')
  await until('data', ({ status }) => status?.capacity?.['storage'] === '2Gi')
  await ask('1Gi')
  await ask('3Gi')
  const grown = await until('data', ({ status }) => status?.capacity?.['storage'] === '3Gi')
  expect(grown.status?.phase).toBe('Bound')
})

test.each([
  ['a device', claim('odd', '1Gi', { volumeMode: 'Block' })],
  ['of another class', claim('odd', '1Gi', { storageClassName: 'fast' })],
  ['without a size', claim('odd', '0')],
  ['to be a copy', claim('odd', '1Gi', { dataSource: { kind: 'PersistentVolumeClaim', name: 'data' } })],
])('a claim that is %s stays pending, and an Event says why', async (_what, draft) => {
  const { world, claimsDir } = await claimWorld()
  await world.store.create(PVCS, draft)
  await turnUntil(async () => (await world.reasons('odd')).includes('ProvisioningFailed'))
  expect((await world.store.get(PVCS, 'default', 'odd'))?.status?.phase).not.toBe('Bound')
  await expect(readdir(claimsDir)).rejects.toThrow('ENOENT')
})

test('the directory goes with its claim, with all that is in it', async () => {
  const { world, claimsDir, until, gone } = await claimWorld()
  await world.store.create(PVCS, claim('data', '1Gi'))
  await until('data', ({ status }) => status?.phase === 'Bound')
  await writeFile(join(claimsDir, 'default', 'data', 'disk.img'), 'data')
  await world.store.delete(PVCS, 'default', 'data')
  await gone('data')
  expect(await readdir(join(claimsDir, 'default'))).toEqual([])
})

test('a claim that a guest uses stays until the guest has ended', async () => {
  const { world, claimsDir, until, gone } = await claimWorld()
  await world.store.create(PVCS, claim('data', '1Gi'))
  await until('data', ({ status }) => status?.phase === 'Bound')
  const volumes = [{ name: 'd', persistentVolumeClaim: { claimName: 'data' } }]
  await world.store.create(VMIS, buildVmi('guest', { volumes }))
  const { metadata } = await world.boot('guest')
  await world.store.delete(PVCS, 'default', 'data')
  await until('data', (held) => held.metadata.deletionTimestamp !== undefined)
  expect(await readdir(join(claimsDir, 'default'))).toEqual(['data'])
  world.node.finish(metadata.uid, 'Succeeded')
  await gone('data')
  expect(await readdir(join(claimsDir, 'default'))).toEqual([])
})

test('claims are left alone where somebody else provides storage', async () => {
  const world = await startWorld()
  await world.store.create(PVCS, claim('data', '1Gi'))
  await world.store.create(VMIS, buildVmi('guest'))
  await world.boot('guest')
  const found = await world.store.get(PVCS, 'default', 'data')
  expect([found?.status?.phase, found?.metadata.finalizers]).not.toContain('Bound')
})
