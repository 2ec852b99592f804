import { expect, onTestFinished, test } from 'vitest'
import { LEASES } from '../../src/kinds/table.ts'
import { serviceUnavailable } from '../../src/lib/errors.ts'
import { ELECTION_TIMES } from '../../src/lib/leadership.ts'
import { openInformer } from '../../src/store/informer.ts'
import { LeaderElection, type Term } from '../../src/store/leader-election.ts'
import type { Store } from '../../src/store/store.ts'
import { createFakeClock, turn, turnUntil, type FakeClock } from '../helpers/fake-clock.ts'
import { ADMIN, openRegistry, silentLog } from '../helpers/object-registry.ts'

const NAME = 'virtgate-controller'

interface Candidate {
  election: LeaderElection
  terms: Term[]
  /** The number of the term it believes to be in. */
  epoch(): number | undefined
  /** Ends what it does as leader, as soon as its term is over; it goes on by itself where this is not called. */
  stop(): Promise<void>
}

async function openStore(clock: FakeClock): Promise<Store> {
  const registry = await openRegistry({ clock })
  onTestFinished(() => registry[Symbol.dispose]())
  return registry.api.as(ADMIN)
}

/** Goes on from term to term until it is stopped; what a leader does ends when its term does. */
function run(store: Store, clock: FakeClock, identity: string): Candidate {
  const stop = new AbortController()
  const election = new LeaderElection({
    ...ELECTION_TIMES,
    store,
    openInformer,
    namespace: 'default',
    name: NAME,
    identity,
    clock,
    log: silentLog,
    random: () => 0,
  })
  const terms: Term[] = []
  const done = (async () => {
    for await (const term of election.terms(stop.signal)) {
      terms.push(term)
      await new Promise<void>((resolve) => {
        if (term.signal.aborted) resolve()
        else term.signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  })()
  const end = async () => {
    stop.abort()
    await done
    await election[Symbol.asyncDispose]()
  }
  onTestFinished(end)
  return { election, terms, epoch: () => terms.at(-1)?.epoch(), stop: end }
}

async function pass(clock: FakeClock, seconds: number): Promise<void> {
  for (let i = 0; i < seconds; i++) {
    clock.advance(1000)
    await turn(20)
  }
}

test('the first candidate leads and goes on leading; the second waits', async () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 2))
  const store = await openStore(clock)
  const one = run(store, clock, 'one')
  await turnUntil(() => one.epoch())
  const other = run(store, clock, 'other')
  await pass(clock, 60)
  expect(one.epoch()).toBe(86_400)
  expect(one.terms).toHaveLength(1)
  expect(other.terms).toEqual([])
  expect([one, other].map(({ election }) => election.leader())).toEqual(['one', 'one'])
  const lease = await store.get(LEASES, 'default', NAME)
  expect(lease?.spec).toMatchObject({
    holderIdentity: 'one',
    leaseDurationSeconds: 15,
    leaseTransitions: 86_400,
    acquireTime: '2026-01-02T00:00:00.000000Z',
    renewTime: '2026-01-02T00:01:00.000000Z',
  })
})

test('one that ends lets the other take over at once, in a later term', async () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 2))
  const store = await openStore(clock)
  const one = run(store, clock, 'one')
  const first = await turnUntil(() => one.epoch())
  const other = run(store, clock, 'other')
  await pass(clock, 3)
  await one.stop()
  // Without a move of the clock.
  expect(await turnUntil(() => other.epoch())).toBe(first + 1)
  expect(one.epoch()).toBeUndefined()
  expect(other.election.leader()).toBe('other')
})

/** A store that does not answer while it is cut off. */
function withCut(store: Store): { store: Store; cut: { isCut: boolean } } {
  const cut = { isCut: false }
  const reached = <T>(work: () => Promise<T>): Promise<T> =>
    cut.isCut ? Promise.reject(serviceUnavailable('cut off')) : work()
  return {
    cut,
    store: {
      ...store,
      get: (...args) => reached(() => store.get(...args)),
      create: (...args) => reached(() => store.create(...args)),
      update: (...args) => reached(() => store.update(...args)),
    },
  }
}

test('one that cannot renew steps down before anybody else leads, and never twice at a time', async () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 2))
  const store = await openStore(clock)
  const { cut, store: shaky } = withCut(store)
  const one = run(shaky, clock, 'one')
  const first = await turnUntil(() => one.epoch())
  const other = run(store, clock, 'other')
  await pass(clock, 5)
  cut.isCut = true
  const leading: string[] = []
  for (let second = 0; second < 30; second++) {
    await pass(clock, 1)
    leading.push([one.epoch(), other.epoch()].map((epoch) => (epoch === undefined ? '-' : '+')).join(''))
  }
  expect([...new Set(leading)]).toEqual(['+-', '--', '-+'])
  expect(leading.indexOf('--')).toBeLessThanOrEqual(10)
  expect(other.epoch()).toBe(first + 1)
  cut.isCut = false
  await pass(clock, 20)
  expect(one.terms).toHaveLength(1)
  expect(one.epoch()).toBeUndefined()
})

test('one that was stopped in the middle of its term knows at once that it is over', async () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 2))
  const store = await openStore(clock)
  const one = run(store, clock, 'one')
  await turnUntil(() => one.epoch())
  // The clock has moved and no timer has run: as in a process after SIGCONT.
  const later = clock.now() + 12_000
  clock.now = () => later
  expect(one.epoch()).toBeUndefined()
})

test('one that starts again under the same name is in a term of its own', async () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 2))
  const store = await openStore(clock)
  const before = run(store, clock, 'same')
  const first = await turnUntil(() => before.epoch())
  const after = run(store, clock, 'same')
  expect(await turnUntil(() => after.epoch())).toBe(first + 1)
  await pass(clock, 3)
  expect(before.epoch()).toBeUndefined()
})

test('a Lease made anew has numbers above those of one that was deleted', async () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 2))
  const store = await openStore(clock)
  const one = run(store, clock, 'one')
  const first = await turnUntil(() => one.epoch())
  await pass(clock, 3)
  await store.delete(LEASES, 'default', NAME)
  await pass(clock, 5)
  expect(one.epoch()).toBeGreaterThan(first)
})

test('a Lease that is taken away ends the term', async () => {
  const clock = createFakeClock(Date.UTC(2026, 0, 2))
  const store = await openStore(clock)
  const one = run(store, clock, 'one')
  await turnUntil(() => one.epoch())
  const lease = await store.get(LEASES, 'default', NAME)
  if (!lease) throw new Error('there is no Lease')
  const spec = { ...lease.spec, holderIdentity: 'thief', leaseTransitions: 1_000_000 }
  await store.update(LEASES, { ...lease, spec })
  await pass(clock, 3)
  expect(one.epoch()).toBeUndefined()
  expect(one.election.leader()).toBe('thief')
  // It comes back once the thief does not renew, above its number.
  await pass(clock, 20)
  expect(one.epoch()).toBe(1_000_001)
})

test.each([
  [{ leaseMs: 10_000 }, 'longer than the time to renew'],
  [{ retryMs: 9_000 }, 'two attempts'],
])('times %j are refused', async (times, why) => {
  const clock = createFakeClock()
  const parts = { openInformer, namespace: 'default', name: NAME, identity: 'one', clock, log: silentLog }
  const store = await openStore(clock)
  expect(() => new LeaderElection({ ...ELECTION_TIMES, ...parts, store, random: () => 0, ...times })).toThrow(
    why,
  )
})
