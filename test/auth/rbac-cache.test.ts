import { expect, onTestFinished, test } from 'vitest'
import { buildRbacAuthorizer } from '../../src/auth/rbac/authorizer.ts'
import { openRbacCache } from '../../src/auth/rbac/cache.ts'
import { ROLE_BINDINGS, ROLES } from '../../src/kinds/table.ts'
import { openInformer } from '../../src/store/informer.ts'
import { READ_VMS, handClock, role, roleBinding, silent, userSubject } from './fixtures.ts'
import { openMemoryStore } from './memory-store.ts'

const asked = {
  kind: 'resource' as const,
  verb: 'get',
  group: 'kubevirt.io',
  version: 'v1',
  resource: 'virtualmachines',
  namespace: 'dev',
}
const jane = { name: 'jane', groups: [] }

async function open() {
  const store = openMemoryStore()
  const clock = handClock()
  const source = await openRbacCache({ store, openInformer, clock, log: silent })
  onTestFinished(() => source[Symbol.asyncDispose]())
  return { store, clock, authorizer: buildRbacAuthorizer(source) }
}

test('a right granted or withdrawn in the same process holds for the next request', async () => {
  const { store, authorizer } = await open()
  await store.create(ROLES, role('dev', 'reader', [READ_VMS]))
  await store.create(ROLE_BINDINGS, roleBinding('dev', 'janes', 'Role/reader', [userSubject('jane')]))
  // The next request comes in another turn of the event loop.
  await new Promise((resolve) => setImmediate(resolve))
  expect((await authorizer.review(jane, asked)).allowed).toBe(true)
  expect((await authorizer.review(jane, { ...asked, namespace: 'prod' })).allowed).toBe(false)
  await store.delete(ROLE_BINDINGS, 'dev', 'janes')
  await new Promise((resolve) => setImmediate(resolve))
  expect((await authorizer.review(jane, asked)).allowed).toBe(false)
})

test('where the store cannot be followed for 10 s, nobody is let in until it can', async () => {
  const { store, clock, authorizer } = await open()
  await store.create(ROLES, role('dev', 'reader', [READ_VMS]))
  await store.create(ROLE_BINDINGS, roleBinding('dev', 'janes', 'Role/reader', [userSubject('jane')]))
  store.breakDown()
  await new Promise((resolve) => setImmediate(resolve))
  const brokenAt = clock.now()
  clock.set(brokenAt + 9_000)
  expect((await authorizer.review(jane, asked)).allowed).toBe(true)
  clock.set(brokenAt + 11_000)
  await expect(authorizer.review(jane, asked)).rejects.toMatchObject({ code: 503 })
  store.mend()
  await expect.poll(async () => (await authorizer.review(jane, asked)).allowed).toBe(true)
})
