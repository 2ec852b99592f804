import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Vmi } from '../../src/kinds/kubevirt.ts'
import type { ResourceQuota } from '../../src/kinds/quota.ts'
import { PODS, RESOURCE_QUOTAS } from '../../src/kinds/table.ts'
import { conflict, notFound } from '../../src/lib/errors.ts'
import { buildClusterLedger } from '../../src/quota/cluster-ledger.ts'
import { readReservations, RESERVATION_MS } from '../../src/quota/reservations.ts'
import type { Store } from '../../src/store/store.ts'
import { ADMIN, openRegistry } from '../helpers/object-registry.ts'
import { draftOf, guestSpec, quota, SMALL, vmi } from '../helpers/quotas.ts'

let registry: Awaited<ReturnType<typeof openRegistry>>
let store: Store
/** What a replica of the webhook has heard of. */
let cached: Vmi[]
let now: number

beforeEach(async () => {
  registry = await openRegistry()
  store = registry.api.as(ADMIN)
  cached = []
  now = 1_000_000
})
afterEach(() => registry[Symbol.dispose]())

const openLedger = (parts: Partial<Parameters<typeof buildClusterLedger>[0]> = {}) =>
  buildClusterLedger({ store, guests: () => cached, clock: { now: () => now }, ...parts })

const limit = (name: string, hard: Record<string, string>) =>
  store.create(RESOURCE_QUOTAS, draftOf(quota(name, hard)))

async function stored(name = 'q'): Promise<ResourceQuota> {
  const found = await store.get(RESOURCE_QUOTAS, 'default', name)
  if (!found) throw new Error(`there is no quota ${name}`)
  return found
}

const usedOf = async (name = 'q') => (await stored(name)).status?.used

const guest = (name: string, spec = guestSpec(SMALL)): Vmi => {
  const made = vmi(name, spec)
  return { ...made, metadata: { ...made.metadata, uid: randomUUID() } }
}

const fresh = (one: Vmi) => ({ vmi: one, dryRun: false })

test('room is taken before the guest is there, and only what there is', async () => {
  await limit('q', { 'requests.cpu': '3' })
  const ledger = openLedger()
  await ledger.reserve(fresh(guest('a')))
  expect(await usedOf()).toEqual({ 'requests.cpu': '2' })
  await expect(ledger.reserve(fresh(guest('b')))).rejects.toThrow(
    'virtualmachineinstances.kubevirt.io "b" is forbidden: exceeded quota: q, requested: requests.cpu=2, ' +
      'used: requests.cpu=2, limited: requests.cpu=3',
  )
  expect(await usedOf()).toEqual({ 'requests.cpu': '2' })
})

test('D5: 100 reviews at once at two replicas never get past a limit of 37', async () => {
  await limit('q', { 'requests.cpu': '74' })
  const [even, odd] = [openLedger(), openLedger()]
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, (_, index) => (index % 2 ? even : odd).reserve(fresh(guest(`g-${index}`)))),
  )
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(37)
  expect(await usedOf()).toEqual({ 'requests.cpu': '74' })
})

test('D5: a guest that is asked about again is charged once', async () => {
  await limit('q', { 'requests.cpu': '2' })
  const one = guest('a')
  const ledger = openLedger()
  await Promise.all([ledger.reserve(fresh(one)), ledger.reserve(fresh(one))])
  await openLedger().reserve(fresh(one))
  cached = [one]
  await ledger.reserve(fresh(one))
  expect(await usedOf()).toEqual({ 'requests.cpu': '2' })
})

test('D5: a guest that grows is charged the difference', async () => {
  await limit('q', { 'requests.memory': '3Gi' })
  const before = guest('a')
  cached = [before]
  const grown = { ...before, spec: guestSpec({ ...SMALL, memory: { guest: '3Gi' } }) }
  const ledger = openLedger()
  await ledger.reserve({ vmi: grown, before, dryRun: false })
  expect(await usedOf()).toEqual({ 'requests.memory': '3Gi' })
  const larger = { ...before, spec: guestSpec({ ...SMALL, memory: { guest: '4Gi' } }) }
  await expect(ledger.reserve({ vmi: larger, before: grown, dryRun: false })).rejects.toThrow(
    /requested: requests.memory=1Gi, used: requests.memory=3Gi/,
  )
  expect(readReservations(await stored(), now).size).toBe(1)
})

test('D5: a dry run is judged, and writes nothing', async () => {
  await limit('q', { 'requests.cpu': '3' })
  const { metadata } = await stored()
  await openLedger().reserve({ vmi: guest('a'), dryRun: true })
  expect((await stored()).metadata.resourceVersion).toBe(metadata.resourceVersion)
  const many = guest('b', guestSpec({ cpu: { cores: 4 } }))
  await expect(openLedger().reserve({ vmi: many, dryRun: true })).rejects.toThrow(/exceeded quota/)
})

test('D5: a guest that never appears gives its room back after 120 s', async () => {
  await limit('q', { 'requests.cpu': '2' })
  await openLedger().reserve(fresh(guest('lost')))
  // The controller writes down what is left; here the status is as if it had.
  now += RESERVATION_MS
  await store.update(RESOURCE_QUOTAS, { ...(await stored()), status: {} }, { subresource: 'status' })
  await openLedger().reserve(fresh(guest('next')))
  expect(await usedOf()).toEqual({ 'requests.cpu': '2' })
})

test('what a quota refuses takes no room of another', async () => {
  await limit('large', { 'requests.cpu': '10' })
  await limit('small', { 'requests.cpu': '1' })
  await expect(openLedger().reserve(fresh(guest('a')))).rejects.toThrow(/exceeded quota: small/)
  expect((await usedOf('large')) ?? {}).toEqual({})
})

test('a reservation whose second half lost a race is taken back when it is refused after all', async () => {
  await limit('a', { 'requests.cpu': '10' })
  await limit('b', { 'requests.cpu': '2' })
  const rival = guest('rival')
  let isFirst = true
  const racing: Pick<Store, 'list' | 'update'> = {
    list: (kind, selection) => store.list(kind, selection),
    async update(kind, object, options) {
      if (object.metadata.name === 'b' && isFirst) {
        isFirst = false
        // Somebody else takes the last room, just now.
        await openLedger().reserve(fresh(rival))
      }
      return store.update(kind, object, options)
    },
  }
  await expect(openLedger({ store: racing }).reserve(fresh(guest('late')))).rejects.toThrow(
    /exceeded quota: b/,
  )
  expect([...readReservations(await stored('a'), now).keys()]).toEqual([rival.metadata.uid])
})

test('pods take of the same quota, and what others count stays as they say', async () => {
  const { metadata } = await limit('q', { 'requests.cpu': '3', pods: '5', 'count/secrets': '9' })
  const told = { hard: { pods: '5', 'count/secrets': '9' }, used: { pods: '1', 'count/secrets': '4' } }
  await store.update(
    RESOURCE_QUOTAS,
    { ...quota('q', { 'requests.cpu': '3', pods: '5', 'count/secrets': '9' }), metadata, status: told },
    { subresource: 'status' },
  )
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'default' },
    spec: { containers: [{ resources: { requests: { cpu: '1500m' } } }] },
  }
  await store.create(PODS, pod)
  await expect(openLedger().reserve(fresh(guest('a')))).rejects.toThrow(/used: requests.cpu=1500m/)
  await openLedger().reserve(fresh(guest('b', guestSpec({ cpu: { cores: 1 } }))))
  expect(await usedOf()).toEqual({ 'requests.cpu': '2500m', pods: '1', 'count/secrets': '4' })
})

describe('an API that', () => {
  test('serves no pods has none', async () => {
    await limit('q', { 'requests.cpu': '2' })
    const podless: Pick<Store, 'list' | 'update'> = {
      update: (kind, object, options) => store.update(kind, object, options),
      list: (kind, selection) =>
        kind.plural === 'pods'
          ? Promise.reject(notFound({ group: '', kind: 'pods' }, ''))
          : store.list(kind, selection),
    }
    await openLedger({ store: podless }).reserve(fresh(guest('a')))
    expect(await usedOf()).toEqual({ 'requests.cpu': '2' })
  })

  test('always has something newer makes the caller come again', async () => {
    await limit('q', { 'requests.cpu': '2' })
    const busy: Pick<Store, 'list' | 'update'> = {
      list: (kind, selection) => store.list(kind, selection),
      update: () =>
        Promise.reject(conflict({ group: '', kind: 'resourcequotas' }, 'q', 'somebody was faster')),
    }
    const refusal = openLedger({ store: busy }).reserve(fresh(guest('a')))
    await expect(refusal).rejects.toMatchObject({ code: 429, details: { retryAfterSeconds: 1 } })
  })

  test('fails is told to all who wait', async () => {
    await limit('q', { 'requests.cpu': '2' })
    const broken: Pick<Store, 'list' | 'update'> = {
      list: () => Promise.reject(new Error('the API is away')),
      update: (kind, object, options) => store.update(kind, object, options),
    }
    const ledger = openLedger({ store: broken })
    const results = await Promise.allSettled([
      ledger.reserve(fresh(guest('a'))),
      ledger.reserve(fresh(guest('b'))),
    ])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  })
})
