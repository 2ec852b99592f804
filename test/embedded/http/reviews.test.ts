import { expect, test } from 'vitest'
import type { ReviewKind } from '../../../src/auth/review-kind.ts'
import { badRequest } from '../../../src/lib/errors.ts'
import { openKubeApi } from '../../helpers/kube-api.ts'

const SELF = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'

test('a review is answered and not stored', async () => {
  await using api = await openKubeApi()
  const spec = { resourceAttributes: { verb: 'get', resource: 'secrets', namespace: 'ns1' } }
  const answer = await api.ask('POST', SELF, { token: 'alice', body: { spec } })
  expect(answer).toMatchObject({
    code: 201,
    body: { kind: 'SelfSubjectAccessReview', status: { allowed: true } },
  })
  expect(await api.ask('GET', SELF)).toMatchObject({ code: 405 })
})

test('a review is told who asks, where, and what', async () => {
  const seen: unknown[] = []
  const review: ReviewKind = {
    group: 'example.com',
    version: 'v1',
    kind: 'Review',
    plural: 'reviews',
    namespaced: true,
    verbs: ['create'],
    run: async (object, { user, namespace }) => {
      seen.push([object, user.name, namespace])
      throw badRequest('no such thing')
    },
  }
  await using api = await openKubeApi({ parts: { reviews: [review] } })
  const url = '/apis/example.com/v1/namespaces/ns1/reviews'
  expect(await api.ask('POST', url, { body: { a: 1 } })).toMatchObject({
    code: 400,
    body: { message: 'no such thing' },
  })
  expect(seen).toEqual([[{ a: 1 }, 'admin', 'ns1']])
  expect(await api.ask('POST', url, { body: 'x', headers: { 'content-type': 'text/plain' } })).toMatchObject({
    code: 415,
  })
})

test('a token is asked of a service account', async () => {
  await using api = await openKubeApi()
  const url = '/api/v1/namespaces/ns1/serviceaccounts/robot/token'
  expect(await api.ask('POST', url, { body: { spec: {} } })).toMatchObject({
    code: 201,
    body: { status: { token: 'ns1/robot' } },
  })
})
