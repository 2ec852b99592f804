import { expect, test } from 'vitest'
import { createVmi, deleteVmi } from '../../../src/controllers/vm/children.ts'
import { VMIS, VMS } from '../../../src/kinds/table.ts'
import { buildVm } from '../../helpers/controllers.ts'
import { ADMIN, openRegistry } from '../../helpers/object-registry.ts'

test('no VMI is made from a VM that has changed since it was read: its start may have been carried out', async () => {
  using registry = await openRegistry()
  const store = registry.api.as(ADMIN)
  const read = await store.create(VMS, buildVm('web', 'Manual'))
  const body = { metadata: { labels: { changed: 'since' } } }
  const now = await store.patch(VMS, 'default', 'web', { type: 'merge', body })
  await expect(createVmi(store, read, { paused: false })).rejects.toMatchObject({ reason: 'Conflict' })
  expect((await store.list(VMIS)).items).toEqual([])
  await createVmi(store, now, { paused: false })
  expect((await store.list(VMIS)).items).toHaveLength(1)
})

test('a deletion is meant for one VMI, and not for another that took its name', async () => {
  using registry = await openRegistry()
  const store = registry.api.as(ADMIN)
  await createVmi(store, await store.create(VMS, buildVm('web', 'Always')), { paused: false })
  const present = await store.get(VMIS, 'default', 'web')
  if (!present) throw new Error('the VMI was not made')
  const earlier = { ...present, metadata: { ...present.metadata, uid: 'an-earlier-one' } }
  await expect(deleteVmi(store, earlier)).rejects.toMatchObject({ reason: 'Conflict' })
  expect((await store.get(VMIS, 'default', 'web'))?.metadata.deletionTimestamp).toBeUndefined()
})
