import { randomInt, randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { ensureBootstrap } from '../../src/auth/bootstrap/bootstrap.ts'
import { serverUser } from '../../src/auth/names.ts'
import { buildRbacAdmission } from '../../src/auth/rbac/admission.ts'
import { startRoleAggregation } from '../../src/auth/rbac/aggregation.ts'
import { buildRbacAuthorizer } from '../../src/auth/rbac/authorizer.ts'
import { openRbacCache } from '../../src/auth/rbac/cache.ts'
import { lateRbacSource } from '../../src/auth/rbac/source.ts'
import { buildRegistry } from '../../src/embedded/registry.ts'
import { KINDS, ROLE_BINDINGS } from '../../src/kinds/table.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { openInformer } from '../../src/store/informer.ts'
import { openObjectDatabase } from '../../src/store/sqlite/open.ts'
import { roleBinding, silent, userSubject } from './fixtures.ts'

/** A user's request arrives in another turn of the event loop than the answer to the one before left in. */
const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

test('over the embedded registry, roles hold for the request after their write, and guard their own writing', async () => {
  using database = openObjectDatabase({ file: ':memory:' })
  const source = lateRbacSource()
  const authorizer = buildRbacAuthorizer(source)
  const admitRbac = buildRbacAdmission(source, authorizer)
  using api = buildRegistry({
    database,
    kinds: KINDS,
    clock: systemClock,
    newUid: randomUUID,
    random: randomInt,
    admission: {
      async review({ user, kind, object, old }) {
        await admitRbac(user, kind, object, old)
        return { object, warnings: [] }
      },
    },
    shapes: { check: () => ({ causes: [], unknownFields: [] }), prune: (_kind, object) => object },
  })
  const store = api.as(serverUser())
  await ensureBootstrap(store)
  const common = { store, openInformer, clock: systemClock, log: silent }
  await using _aggregation = await startRoleAggregation(common)
  await using cache = await openRbacCache(common)
  source.set(cache)

  const jane = { name: 'jane', groups: ['system:authenticated'] }
  const may = async (verb: string) =>
    (
      await authorizer.review(jane, {
        kind: 'resource',
        verb,
        group: 'kubevirt.io',
        version: 'v1',
        resource: 'virtualmachines',
        namespace: 'default',
      })
    ).allowed
  const bind = (name: string, role: string) => ({
    ...roleBinding('default', name, `ClusterRole/${role}`, [userSubject('jane')]),
    metadata: { namespace: 'default', name },
  })
  expect(await may('get')).toBe(false)
  await store.create(ROLE_BINDINGS, bind('janes', 'kubevirt.io:view'))
  await nextTurn()
  expect([await may('get'), await may('create')]).toEqual([true, false])
  await expect(api.as(jane).create(ROLE_BINDINGS, bind('more', 'kubevirt.io:edit'))).rejects.toMatchObject({
    code: 403,
  })
  await store.delete(ROLE_BINDINGS, 'default', 'janes')
  await nextTurn()
  expect(await may('get')).toBe(false)
})
