import { expect, test } from 'vitest'
import { buildReviewAuthorizer } from '../../src/auth/remote/authorizer.ts'
import { buildReviewTokenReader } from '../../src/auth/remote/token-reader.ts'
import { buildAnswerCache } from '../../src/auth/remote/answer-cache.ts'
import type { KubeRequest } from '../../src/kube/client.ts'
import { handClock } from './fixtures.ts'

/** A server that answers reviews with what `status` gives. */
function open(status: (request: KubeRequest) => unknown) {
  const asked: KubeRequest[] = []
  const client = {
    async call<T>(request: KubeRequest): Promise<T> {
      asked.push(request)
      return (await status(request)) as T
    },
  }
  return { asked, client, clock: handClock() }
}

const user = { name: 'jane', uid: 'u', groups: ['dev'], extra: { scope: ['a'] } }
const attributes = {
  kind: 'resource' as const,
  verb: 'get',
  group: 'subresources.kubevirt.io',
  version: 'v1',
  resource: 'virtualmachineinstances',
  subresource: 'vnc/screenshot',
  namespace: 'dev',
  name: 'a',
}

test('the review carries the whole identity and all attributes', async () => {
  const { asked, client, clock } = open(() => ({ status: { allowed: true, reason: 'because' } }))
  const decision = await buildReviewAuthorizer(client, clock).review(user, attributes)
  expect(decision).toEqual({ allowed: true, reason: 'because' })
  const { kind: _kind, ...resourceAttributes } = attributes
  expect(asked[0]).toMatchObject({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user: 'jane', uid: 'u', groups: ['dev'], extra: { scope: ['a'] }, resourceAttributes },
    },
  })
})

test.each<[string, () => unknown]>([
  ['no status', () => ({})],
  ['a list', () => []],
  ['nothing', () => undefined],
  ['an error', () => Promise.reject(new Error('refused'))],
])('B4: an answer that is %s is 503, and is asked for again', async (_case, answer) => {
  const { asked, client, clock } = open(answer)
  const authorizer = buildReviewAuthorizer(client, clock)
  await expect(authorizer.review(user, attributes)).rejects.toMatchObject({ code: 503 })
  await expect(authorizer.review(user, attributes)).rejects.toMatchObject({ code: 503 })
  expect(asked).toHaveLength(2)
})

test.each([
  ['allowed and denied together', { allowed: true, denied: true }],
  ['allowed as text', { allowed: 'true' }],
  ['not allowed', { allowed: false }],
])('B4: %s is no', async (_case, status) => {
  const { client, clock } = open(() => ({ status }))
  expect((await buildReviewAuthorizer(client, clock).review(user, attributes)).allowed).toBe(false)
})

test('B4: a yes holds for 10 s, for that identity and that request alone', async () => {
  const { asked, client, clock } = open(() => ({ status: { allowed: true } }))
  const authorizer = buildReviewAuthorizer(client, clock)
  await authorizer.review(user, attributes)
  await authorizer.review({ ...user }, { ...attributes })
  expect(asked).toHaveLength(1)
  await authorizer.review({ ...user, groups: ['dev', 'ops'] }, attributes)
  await authorizer.review({ ...user, uid: 'v' }, attributes)
  await authorizer.review({ ...user, extra: { scope: ['b'] } }, attributes)
  await authorizer.review(user, { ...attributes, subresource: 'vnc' })
  await authorizer.review(user, { ...attributes, name: 'b' })
  expect(asked).toHaveLength(6)
  clock.set(clock.now() + 10_000)
  await authorizer.review(user, attributes)
  expect(asked).toHaveLength(7)
})

test('B4: a no holds for 5 s', async () => {
  const { asked, client, clock } = open(() => ({ status: { allowed: false } }))
  const authorizer = buildReviewAuthorizer(client, clock)
  await authorizer.review(user, attributes)
  clock.set(clock.now() + 4_999)
  await authorizer.review(user, attributes)
  expect(asked).toHaveLength(1)
  clock.set(clock.now() + 1)
  await authorizer.review(user, attributes)
  expect(asked).toHaveLength(2)
})

test('who asks the same at the same time gets the same answer, a failure too, and no later one does', async () => {
  const answers = [Promise.withResolvers<unknown>(), Promise.withResolvers<unknown>()]
  const { asked, client, clock } = open(() => answers[asked.length - 1]?.promise)
  const authorizer = buildReviewAuthorizer(client, clock)
  const first = [authorizer.review(user, attributes), authorizer.review(user, attributes)]
  const others = authorizer.review({ ...user, name: 'joe' }, attributes)
  expect(asked).toHaveLength(2)
  answers[0]?.reject(new Error('refused'))
  for (const review of first) await expect(review).rejects.toMatchObject({ code: 503 })
  answers[1]?.resolve({ status: { allowed: true } })
  expect((await others).allowed).toBe(true)
  void authorizer.review(user, attributes).catch(() => {})
  expect(asked).toHaveLength(3)
})

test('what is asked is told apart from what is known, and from what somebody waits for', async () => {
  const answers = [Promise.resolve({ status: { allowed: true } }), Promise.reject(new Error('refused'))]
  const { asked, client, clock } = open(() => answers[asked.length - 1])
  const told: string[] = []
  const authorizer = buildReviewAuthorizer(client, clock, {
    watch: { wanted: (result) => void told.push(result), asked: (result) => void told.push(result) },
  })
  await Promise.all([authorizer.review(user, attributes), authorizer.review(user, attributes)])
  await authorizer.review(user, attributes)
  await authorizer.review({ ...user, name: 'joe' }, attributes).catch(() => {})
  expect(told).toEqual(['miss', 'joined', 'answered', 'hit', 'miss', 'failed'])
})

test('B4: an answer that does not come is 503, never yes', async () => {
  const { client, clock } = open(({ signal }) => {
    const { promise, reject } = Promise.withResolvers<never>()
    signal?.addEventListener('abort', () => reject(signal.reason))
    return promise
  })
  const review = buildReviewAuthorizer(client, clock, { timeoutMs: 20 }).review(user, attributes)
  await expect(review).rejects.toMatchObject({ code: 503, details: { retryAfterSeconds: 1 } })
})

test('one caller who goes away leaves the answer to the others; the last one ends the asking', async () => {
  const answer = Promise.withResolvers<unknown>()
  const { asked, client, clock } = open(() => answer.promise)
  const authorizer = buildReviewAuthorizer(client, clock)
  const [gone, later] = [new AbortController(), new AbortController()]
  const leaving = authorizer.review(user, attributes, gone.signal)
  const staying = authorizer.review(user, attributes, later.signal)
  gone.abort(new Error('gone'))
  await expect(leaving).rejects.toThrow('gone')
  expect(asked[0]?.signal?.aborted).toBe(false)
  answer.resolve({ status: { allowed: true } })
  expect((await staying).allowed).toBe(true)
})

test('a question that everybody has left is asked anew', async () => {
  const { asked, client, clock } = open(({ signal }) => {
    if (asked.length > 1) return { status: { allowed: true } }
    const { promise, reject } = Promise.withResolvers<never>()
    signal?.addEventListener('abort', () => reject(signal.reason))
    return promise
  })
  const authorizer = buildReviewAuthorizer(client, clock)
  const gone = new AbortController()
  const leaving = authorizer.review(user, attributes, gone.signal)
  gone.abort(new Error('gone'))
  await expect(leaving).rejects.toThrow('gone')
  expect(asked[0]?.signal?.aborted).toBe(true)
  expect((await authorizer.review(user, attributes)).allowed).toBe(true)
})

test('a caller who goes away ends the wait', async () => {
  const { client, clock } = open(({ signal }) => {
    const { promise, reject } = Promise.withResolvers<never>()
    signal?.addEventListener('abort', () => reject(signal.reason))
    return promise
  })
  const gone = new AbortController()
  const waiting = buildReviewAuthorizer(client, clock).review(user, attributes, gone.signal)
  gone.abort(new Error('gone'))
  await expect(waiting).rejects.toThrow('gone')
})

test('the oldest answers make room', async () => {
  const cache = buildAnswerCache<number>({ clock: handClock(), most: 2 })
  let asked = 0
  const get = (key: string) => cache.get(key, async () => (asked += 1))
  for (const key of ['a', 'b', 'c', 'c', 'b', 'a']) await get(key)
  expect(asked).toBe(4)
})

test('a token is asked about, and remembered without being kept', async () => {
  const { asked, client, clock } = open(() => ({
    status: {
      authenticated: true,
      user: { username: 'jane', uid: 'u', groups: ['dev'], extra: { Scope: ['a'] } },
    },
  }))
  const reader = buildReviewTokenReader(client, clock)
  expect(await reader.read('t', [])).toEqual({
    user: { name: 'jane', uid: 'u', groups: ['dev'], extra: { scope: ['a'] } },
    audiences: [],
  })
  await reader.read('t', [])
  expect(asked).toHaveLength(1)
})

test.each<[string, unknown]>([
  ['unknown', { authenticated: false }],
  ['of nobody', { authenticated: true, user: { username: '' } }],
  ['meant for somebody else', { authenticated: true, user: { username: 'jane' }, audiences: ['other'] }],
  ['of an authenticator without audiences', { authenticated: true, user: { username: 'jane' } }],
])('a token that is %s lets nobody in', async (_case, status) => {
  const { client, clock } = open(() => ({ status }))
  expect(await buildReviewTokenReader(client, clock).read('t', ['virtgate'])).toBeUndefined()
})
