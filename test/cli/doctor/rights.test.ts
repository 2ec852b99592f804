import { expect, test } from 'vitest'
import { accountNeeds } from '../../../src/auth/bootstrap/needs.ts'
import { doctorOf, examine } from '../../helpers/doctor.ts'

const REVIEWS = 'POST /apis/authorization.k8s.io/v1/subjectaccessreviews'

interface Review {
  body?: {
    spec: {
      user: string
      resourceAttributes: {
        verb: string
        resource: string
        subresource: string
        group: string
        namespace?: string
      }
    }
  }
}

const accounts = async () => [
  {
    name: 'kubevirt-controller',
    rules: [
      { apiGroups: [''], resources: ['nodes', 'nodes/status'], verbs: ['get', 'patch'] },
      { apiGroups: ['kubevirt.io'], resources: ['*'], verbs: ['list'] },
      { nonResourceURLs: ['/metrics'], verbs: ['get'] },
    ],
    ownRules: [{ apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get'] }],
  },
]

test('an account that may do everything is well', async () => {
  const doctor = doctorOf({ [REVIEWS]: { status: { allowed: true } } }, { accounts })
  expect(await examine('rights', doctor)).toEqual([
    { verdict: 'ok', message: 'kubevirt-controller may do all that it has to (6 rights)' },
  ])
  const users = doctor.asked.map(({ body }) => (body as Review['body'])?.spec.user)
  expect(new Set(users)).toEqual(new Set(['system:serviceaccount:kubevirt:kubevirt-controller']))
  // Some are looked for in the whole cluster, those of its own in the namespace of the installation.
  const places = doctor.asked.map(({ body }) => {
    const { resource, namespace } = (body as Review['body'])?.spec.resourceAttributes ?? {}
    return `${resource} ${namespace ?? ''}`.trim()
  })
  expect(places.filter((place) => place.includes(' '))).toEqual(['leases kubevirt'])
})

test('what an account may not do is said', async () => {
  const review = ({ body }: Review) => ({
    status: {
      allowed:
        body?.spec.resourceAttributes.subresource !== 'status' && body?.spec.resourceAttributes.group === '',
    },
  })
  const [finding] = await examine('rights', doctorOf({ [REVIEWS]: review }, { accounts }))
  expect(finding?.verdict).toBe('error')
  expect(finding?.message).toBe(
    'kubevirt-controller may not get nodes/status, patch nodes/status, list *.kubevirt.io and 1 more',
  )
})

test('a right that is missing in its own namespace is said to be', async () => {
  const review = ({ body }: Review) => ({
    status: { allowed: body?.spec.resourceAttributes.namespace === undefined },
  })
  const [finding] = await examine('rights', doctorOf({ [REVIEWS]: review }, { accounts }))
  expect(finding?.message).toBe('kubevirt-controller may not get leases.coordination.k8s.io in kubevirt')
})

test('many of them are counted', async () => {
  const [finding] = await examine(
    'rights',
    doctorOf({ [REVIEWS]: { status: { allowed: false } } }, { accounts }),
  )
  expect(finding?.message).toMatch(/ and 3 more$/)
})

test('the accounts are ours, with the rights that the chart gives them', () => {
  expect(accountNeeds().map(({ name }) => name)).toEqual(['kubevirt-apiserver', 'kubevirt-controller'])
  expect(accountNeeds().every(({ rules }) => rules.length > 5)).toBe(true)
})
