import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ResourceAttributes } from '../../auth/access.ts'
import type { ReviewKind } from '../../auth/review-kind.ts'
import { userOf } from '../../auth/route.ts'
import { representationFor, send } from './answer.ts'
import { readObject } from './bodies.ts'
import { rootOf, targetOf } from './endpoints.ts'
import type { KubernetesApiParts } from './parts.ts'
import { readDryRun, type RawQuery } from './query.ts'

/** Serves what is answered and never stored. */
export function registerReviews(
  scope: FastifyInstance,
  { reviews, requestToken }: Pick<KubernetesApiParts, 'reviews' | 'requestToken'>,
): void {
  for (const review of reviews) addReview(scope, review)
  scope.post(
    '/api/v1/namespaces/:namespace/serviceaccounts/:name/token',
    { config: { access: tokenAttributes } },
    async (request, reply) => {
      const { namespace, name } = targetOf(request)
      return answer(request, reply, () => requestToken(namespace, name, readObject(request)))
    },
  )
}

function addReview(scope: FastifyInstance, review: ReviewKind): void {
  const { group, version, plural, namespaced } = review
  const root = rootOf(review)
  const attributes = (request: FastifyRequest): ResourceAttributes => {
    const { namespace } = targetOf(request)
    return {
      kind: 'resource',
      verb: 'create',
      group,
      version,
      resource: plural,
      ...(namespace && { namespace }),
    }
  }
  scope.post(
    namespaced ? `${root}/namespaces/:namespace/${plural}` : `${root}/${plural}`,
    { config: { access: attributes } },
    async (request, reply) => {
      const { namespace } = targetOf(request)
      const user = userOf(request)
      return answer(request, reply, (signal) => review.run(readObject(request), { user, namespace, signal }))
    },
  )
}

function tokenAttributes(request: FastifyRequest): ResourceAttributes {
  const { namespace, name } = targetOf(request)
  return {
    kind: 'resource',
    verb: 'create',
    group: '',
    version: 'v1',
    resource: 'serviceaccounts',
    subresource: 'token',
    namespace,
    name,
  }
}

async function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  run: (signal: AbortSignal) => Promise<unknown>,
): Promise<FastifyReply> {
  const { encoding } = representationFor(request, 'object')
  readDryRun(request.query as RawQuery)
  const left = new AbortController()
  const leave = (): void => left.abort()
  reply.raw.once('close', leave)
  try {
    return send(request, reply.code(201), encoding, await run(left.signal))
  } finally {
    reply.raw.off('close', leave)
  }
}
