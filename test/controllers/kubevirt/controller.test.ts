import { expect, test } from 'vitest'
import { isTrue } from '../../../src/kinds/meta.ts'
import { KUBEVIRTS } from '../../../src/kinds/table.ts'
import { startWorld } from '../../helpers/controllers.ts'
import { turnUntil } from '../../helpers/fake-clock.ts'

test('a KubeVirt object reads Deployed, with the version whose API is served', async () => {
  const world = await startWorld()
  const metadata = { namespace: 'default', name: 'kubevirt' }
  await world.store.create(KUBEVIRTS, { apiVersion: 'kubevirt.io/v1', kind: 'KubeVirt', metadata })
  const status = await turnUntil(
    async () => (await world.store.get(KUBEVIRTS, 'default', 'kubevirt'))?.status,
  )
  expect(status).toMatchObject({ phase: 'Deployed', observedKubeVirtVersion: 'v1.9.0' })
  // What admission gives to guests that ask for none.
  expect(status.defaultArchitecture).toBe('amd64')
  expect(isTrue(status.conditions, 'Available')).toBe(true)
  expect(isTrue(status.conditions, 'Degraded')).toBe(false)
})
