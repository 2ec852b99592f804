/** Rotation of authorities: whoever lags behind, whatever dies and whoever interferes, no leaf is shown that is not believed. */
import { X509Certificate } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { parseAuthority } from '../../../certs/authority-secret.ts'
import { isSignedBy } from '../../../certs/inspect.ts'
import { bundleOf, type Authority } from '../../../certs/rotation.ts'
import { RENEW_ANNOTATION } from '../../../src/kinds/installation.ts'
import { API_SERVICES, CONFIGMAPS, SECRETS, VALIDATING_WEBHOOKS } from '../../../src/kinds/table.ts'
import { keyHash, splitBundle } from '../../../src/lib/pem.ts'
import { bundleHash } from '../../../src/roles/certificates/bundle-hash.ts'
import { keepAuthority, type Follower, type KeptAuthority } from '../../../src/roles/certificates/keep.ts'
import {
  apiServiceOutlet,
  configMapOutlet,
  leafOutlet,
  webhookOutlet,
} from '../../../src/roles/certificates/outlets.ts'
import { decodeSecret, encodeSecret } from '../../../src/roles/certificates/secret-data.ts'
import { callerWish } from '../../../src/roles/certificates/wishes.ts'
import { createFakeClock, type FakeClock } from '../../helpers/fake-clock.ts'
import { versionedStore, type VersionedStore } from '../../helpers/versioned-store.ts'
import { silentLog } from '../../helpers/worker.ts'

const MINUTE = 60_000
const POLICY = { authorityMs: 60 * MINUTE, leafMs: 45 * MINUTE, spreadMs: 5 * MINUTE, overlapMs: 10 * MINUTE }
const NAMESPACE = 'kubevirt'
const STEP_MS = 2.5 * MINUTE

let store: VersionedStore
let clock: FakeClock
let followers: readonly Follower[] | undefined

/** Nothing but registrations, as a chart leaves them. */
function begin(): void {
  clock = createFakeClock(Date.parse('2030-01-01T00:00:00Z'))
  store = versionedStore()
  followers = []
  store.put(API_SERVICES, { apiVersion: '', kind: '', metadata: { name: 'v1.x' }, spec: {} })
  store.put(VALIDATING_WEBHOOKS, {
    apiVersion: '',
    kind: '',
    metadata: { name: 'hooks' },
    webhooks: [
      { name: 'a', clientConfig: {} },
      { name: 'b', clientConfig: { caBundle: 'b2xk' } },
      { name: 'c', clientConfig: { url: 'https://x' } },
    ],
  })
}
beforeEach(begin)

function keptBy(own: VersionedStore): KeptAuthority {
  const leaf = (name: string) =>
    leafOutlet(own, { namespace: NAMESPACE, name }, callerWish('controller'), {
      clock,
      leafMs: POLICY.leafMs,
    })
  return {
    namespace: NAMESPACE,
    name: 'the-ca',
    outlets: [
      configMapOutlet(own, { namespace: NAMESPACE, name: 'trust' }),
      apiServiceOutlet(own, 'v1.x'),
      apiServiceOutlet(own, 'absent'),
      webhookOutlet(own, VALIDATING_WEBHOOKS, 'hooks'),
      leaf('one'),
      leaf('two'),
    ],
    followers: () => followers,
  }
}

/** One pass; what it throws is what the queue would log and try again. */
async function pass(own = store): Promise<boolean> {
  return keepAuthority(keptBy(own), { store: own, policy: POLICY, clock, log: silentLog })
}

async function settle(): Promise<void> {
  for (let round = 0; round < 10; round++) if (!(await pass())) return
  throw new Error('it never comes to rest')
}

function authority(): Authority {
  const secret = store.find(SECRETS, NAMESPACE, 'the-ca')
  return parseAuthority(decodeSecret(secret ?? {}))
}

const leafOf = (name: string) => decodeSecret(store.find(SECRETS, NAMESPACE, name) ?? {})

/** What everybody who looks at the objects sees now: bundles that are believed, leaves that are shown. */
function seen() {
  const bundles = new Map<string, string>()
  const leaves = new Map<string, string>()
  for (const name of ['one', 'two']) {
    const { 'ca.crt': ca, 'tls.crt': cert } = leafOf(name)
    if (ca !== undefined) bundles.set(`secret ${name}`, ca)
    if (cert !== undefined) leaves.set(name, cert)
  }
  const map = store.find(CONFIGMAPS, NAMESPACE, 'trust')?.data?.['ca.crt']
  if (map !== undefined) bundles.set('configmap', map)
  const service = store.find(API_SERVICES, '', 'v1.x')?.spec?.caBundle
  if (service !== undefined) bundles.set('apiservice', decode(service))
  const [first] = store.find(VALIDATING_WEBHOOKS, '', 'hooks')?.webhooks ?? []
  const webhook = first?.clientConfig.caBundle
  if (webhook !== undefined) bundles.set('webhook', decode(webhook))
  return { bundles, leaves }
}

const decode = (base64: string) => Buffer.from(base64, 'base64').toString('utf8')

/**
 * Holds everything that was ever written against everything else: whoever believes what stood anywhere up to `spreadMs`
 * ago must believe every leaf that anybody shows who is as late.
 */
class Watcher {
  readonly #history: { at: number; bundles: Map<string, string>; leaves: Map<string, string> }[] = []
  readonly #verdicts = new Map<string, boolean>()

  look(): void {
    const now = clock.now()
    const { bundles, leaves } = seen()
    this.#history.push({ at: now, bundles, leaves })
    const recent = this.#recent(now)
    const believed = new Map(recent.flatMap(({ bundles }) => [...bundles].map(([who, pem]) => [pem, who])))
    const shown = new Map(recent.flatMap(({ leaves }) => [...leaves].map(([who, pem]) => [pem, who])))
    for (const [leaf, who] of shown) {
      for (const [bundle, where] of believed) {
        if (!this.#isBelieved(leaf, bundle)) throw new Error(`the leaf of ${who} is not in ${where}`)
      }
    }
  }

  /** What was so within the time, and what was so when it began. */
  #recent(now: number) {
    const since = now - POLICY.spreadMs
    const first = this.#history.findLastIndex(({ at }) => at <= since)
    return this.#history.slice(Math.max(first, 0))
  }

  #isBelieved(leaf: string, bundle: string): boolean {
    const key = leaf + bundle
    let verdict = this.#verdicts.get(key)
    if (verdict === undefined) {
      verdict = splitBundle(bundle).some((ca) => isSignedBy(leaf, ca))
      this.#verdicts.set(key, verdict)
    }
    return verdict
  }
}

test('a first pass makes the authority, its leaves, and tells everybody', async () => {
  await settle()
  const { active, next, retired } = authority()
  expect(next).toBeUndefined()
  expect(retired).toEqual([])
  const { bundles, leaves } = seen()
  expect([...bundles.keys()].sort()).toEqual([
    'apiservice',
    'configmap',
    'secret one',
    'secret two',
    'webhook',
  ])
  for (const bundle of bundles.values()) expect(bundle).toBe(active.cert)
  for (const leaf of leaves.values()) expect(isSignedBy(leaf, active.cert)).toBe(true)
  const [, second, third] = store.find(VALIDATING_WEBHOOKS, '', 'hooks')?.webhooks ?? []
  expect(decode(second?.clientConfig.caBundle ?? '')).toBe(active.cert)
  expect(third?.clientConfig).toEqual({ url: 'https://x' })
})

test('what somebody else has changed is put right, and nothing is written while all is well', async () => {
  await settle()
  const { bundles, leaves } = seen()
  store.put(API_SERVICES, {
    apiVersion: '',
    kind: '',
    metadata: { name: 'v1.x' },
    spec: { caBundle: 'eA==' },
  })
  store.remove(CONFIGMAPS, NAMESPACE, 'trust')
  const one = store.find(SECRETS, NAMESPACE, 'one')
  if (one)
    store.put(SECRETS, { ...one, data: { ...one.data, ...encodeSecret({ 'tls.key': 'x', own: 'y' }) } })
  await settle()
  expect(seen().bundles).toEqual(bundles)
  expect(seen().leaves.get('two')).toBe(leaves.get('two'))
  expect(leafOf('one')).toMatchObject({ own: 'y', 'tls.key': expect.stringContaining('PRIVATE KEY') })
  let writes = 0
  store.hooks.before = () => void writes++
  await settle()
  expect(writes).toBe(0)
})

test('a leaf is made anew at two thirds of its life, under the same authority', async () => {
  await settle()
  const { leaves } = seen()
  clock.advance((POLICY.leafMs * 2) / 3 - 1000)
  await settle()
  expect(seen().leaves).toEqual(leaves)
  clock.advance(1000)
  await settle()
  expect(seen().leaves.get('one')).not.toBe(leaves.get('one'))
  expect(authority().retired).toEqual([])
})

test('an authority is announced, then signs, then is forgotten, each in its time', async () => {
  await settle()
  const old = authority().active.cert
  clock.advance((POLICY.authorityMs * 2) / 3)
  await settle()
  const next = authority().next?.pair.cert ?? ''
  expect(bundleOf(authority())).toBe(next + old)
  for (const leaf of seen().leaves.values()) expect(isSignedBy(leaf, old)).toBe(true)

  clock.advance(POLICY.spreadMs - 1000)
  await settle()
  expect(authority().active.cert).toBe(old)
  clock.advance(1000)
  await settle()
  expect(authority().active.cert).toBe(next)
  for (const leaf of seen().leaves.values()) expect(isSignedBy(leaf, next)).toBe(true)
  for (const bundle of seen().bundles.values()) expect(bundle).toBe(next + old)

  clock.advance(POLICY.overlapMs - 1000)
  await settle()
  expect(authority().retired).toHaveLength(1)
  clock.advance(1000)
  await settle()
  expect(bundleOf(authority())).toBe(next)
  for (const bundle of seen().bundles.values()) expect(bundle).toBe(next)
})

test('an annotation asks for a new authority, once for each value, and for another one before the last is forgotten', async () => {
  await settle()
  const ask = async (value: string) => {
    const secret = store.find(SECRETS, NAMESPACE, 'the-ca')
    if (!secret) throw new Error('there is none')
    const metadata = { ...secret.metadata, annotations: { [RENEW_ANNOTATION]: value } }
    store.put(SECRETS, { ...secret, metadata })
    await settle()
  }
  await ask('1')
  const first = authority()
  expect(first.next).toBeDefined()
  clock.advance(POLICY.spreadMs)
  await settle()
  expect(authority().active).toEqual(first.next?.pair)
  await ask('1')
  expect(authority().next).toBeUndefined()
  await ask('2')
  clock.advance(POLICY.spreadMs)
  await settle()
  expect(authority().retired).toHaveLength(2)
  expect(splitBundle(bundleOf(authority()))).toHaveLength(3)
})

describe('workers that fetch the bundle', () => {
  const follower = (over: Partial<Follower> = {}): Follower => ({
    name: 'n1',
    trust: bundleHash(bundleOf(authority())),
    issuer: keyHash(authority().active.cert),
    ...over,
  })
  const announce = async () => {
    await settle()
    followers = [follower()]
    clock.advance((POLICY.authorityMs * 2) / 3)
    await settle()
    expect(authority().next).toBeDefined()
  }

  test('hold up the first signature until they believe it; those that cannot be asked do so, too', async () => {
    await announce()
    const { cert } = authority().active
    clock.advance(POLICY.spreadMs)
    await settle()
    expect(authority().active.cert).toBe(cert)
    followers = undefined
    await settle()
    expect(authority().active.cert).toBe(cert)
    followers = [follower()]
    await settle()
    expect(authority().active.cert).not.toBe(cert)
  })

  test('are not waited for longer than the authority can wait', async () => {
    await announce()
    const { cert } = authority().active
    clock.advance(POLICY.authorityMs / 6 - 1000)
    await settle()
    expect(authority().active.cert).toBe(cert)
    clock.advance(1000)
    await settle()
    expect(authority().active.cert).not.toBe(cert)
  })

  test('keep an authority believed until none of them shows a certificate of it', async () => {
    await announce()
    followers = [follower()]
    clock.advance(POLICY.spreadMs)
    await settle()
    const [old] = authority().retired
    expect(old).toBeDefined()
    followers = [follower({ issuer: keyHash(old?.cert ?? '') })]
    clock.advance(POLICY.overlapMs)
    await settle()
    expect(authority().retired).toHaveLength(1)
    followers = [follower()]
    await settle()
    expect(authority().retired).toEqual([])
  })
})

test('a controller that was away for longer than the authority lives begins anew at once', async () => {
  await settle()
  const { cert } = authority().active
  clock.advance(POLICY.authorityMs * 2)
  followers = undefined
  await settle()
  expect(authority().active.cert).not.toBe(cert)
  for (const leaf of seen().leaves.values()) {
    expect(new X509Certificate(leaf).validToDate.getTime()).toBeGreaterThan(clock.now())
  }
})

test('a Secret that holds no authority is left as it is, and said so', async () => {
  await settle()
  const secret = store.find(SECRETS, NAMESPACE, 'the-ca')
  for (const broken of [
    { 'tls.key': 'x' },
    { 'next.crt': 'x' },
    { 'history.json': '{' },
    { 'history.json': '{"retired":[{}]}' },
  ]) {
    const data = { ...secret?.data, ...encodeSecret(broken) }
    if (secret) store.put(SECRETS, { ...secret, data })
    await expect(pass()).rejects.toThrow('put back what was there, or delete the Secret')
    expect(store.find(SECRETS, NAMESPACE, 'the-ca')?.data).toEqual(data)
  }
})

/** From an empty store through a whole rotation; `hold` is asked before each pass. */
async function rotate(watcher: Watcher, run: () => Promise<boolean>): Promise<void> {
  const busy = clock.now() + (POLICY.authorityMs * 2) / 3
  const end = busy + POLICY.spreadMs + POLICY.overlapMs + 4 * STEP_MS
  // Until then leaves alone are renewed.
  const stepMs = () => (clock.now() < busy ? (POLICY.authorityMs * 2) / 9 : STEP_MS)
  for (; clock.now() < end; clock.advance(stepMs())) {
    for (let again = true; again;) {
      again = await run()
      watcher.look()
    }
    watcher.look()
  }
}

class Killed extends Error {}

test('kill -9 before or after any write: all is believed at every moment, and it ends well', async () => {
  const count = await countWrites()
  expect(count).toBeGreaterThan(20)
  for (let victim = 1; victim <= count; victim++) {
    for (const when of ['before', 'after'] as const) await rotateWithDeath(victim, when)
  }
}, 120_000)

async function countWrites(): Promise<number> {
  let writes = 0
  store.hooks.after = () => void writes++
  await rotate(new Watcher(), pass)
  return writes
}

async function rotateWithDeath(victim: number, when: 'before' | 'after'): Promise<void> {
  begin()
  let writes = 0
  const watcher = new Watcher()
  const die = () => {
    if (++writes === victim) throw new Killed()
  }
  store.hooks[when] = die
  // Written or not, those who look see it.
  if (when === 'before') store.hooks.after = () => watcher.look()
  await rotate(watcher, () =>
    pass().catch((error: unknown) => {
      if (error instanceof Killed) return true
      throw error
    }),
  )
  expect(authority().retired).toEqual([])
  expect(authority().next).toBeUndefined()
}

test('a controller that sleeps before any write, while another one rotates, harms nothing when it wakes', async () => {
  const count = await countWrites()
  for (let sleeper = 1; sleeper <= count; sleeper++) {
    begin()
    const watcher = new Watcher()
    let writes = 0
    let isAsleep = false
    store.hooks.after = () => watcher.look()
    store.hooks.before = async () => {
      if (isAsleep || ++writes !== sleeper) return
      isAsleep = true
      // The other one goes on for as long as a whole rotation takes.
      await rotate(watcher, pass)
    }
    await rotate(watcher, () =>
      pass().catch((error: unknown) => {
        if (error instanceof Error && 'code' in error && error.code === 409) return true
        throw error
      }),
    )
    expect(authority().next).toBeUndefined()
  }
}, 120_000)
