/** What is done at the endpoints of a kind, one function for each verb. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { userOf } from '../../auth/route.ts'
import type { Kind } from '../../kinds/kind.ts'
import type { KubeObject } from '../../kinds/meta.ts'
import type { ObjectApi, PatchType, WriteContext } from '../api.ts'
import { listingOf } from '../objects/list.ts'
import { representationFor, send, sendList, sendObject, type Presenter } from './answer.ts'
import { readDeletion, readObject, readPatch } from './bodies.ts'
import { targetOf, type Endpoint } from './endpoints.ts'
import { readFlag, readListOptions, readSelection, readWriteOptions, type RawQuery } from './query.ts'
import { sendWarnings } from './warnings.ts'

/** One request at an endpoint. */
export interface Exchange {
  request: FastifyRequest
  reply: FastifyReply
  endpoint: Endpoint
  api: ObjectApi
  presenter: Presenter
}

function contextOf({ request, endpoint }: Exchange): WriteContext {
  const { subresource } = endpoint
  return {
    ...readWriteOptions(request.query as RawQuery),
    user: userOf(request),
    ...(subresource && { subresource }),
    warnings: [],
  }
}

/** Patches that a kind takes. */
export function patchTypesOf({ builtIn }: Kind): readonly PatchType[] {
  return builtIn ? ['json', 'merge', 'strategic'] : ['json', 'merge']
}

/** Answers with an object. */
export async function getObject({
  request,
  reply,
  endpoint,
  api,
  presenter,
}: Exchange): Promise<FastifyReply> {
  representationFor(request, 'object')
  const { namespace, name } = targetOf(request)
  return sendObject(presenter, request, reply, await api.get(endpoint.kind, namespace, name))
}

/** Answers with a list. */
export async function listObjects({
  request,
  reply,
  endpoint,
  api,
  presenter,
}: Exchange): Promise<FastifyReply> {
  representationFor(request, 'list')
  const { namespace } = targetOf(request)
  const options = readListOptions(request.query as RawQuery, namespace)
  return sendList(presenter, request, reply, api.openList(endpoint.kind, options))
}

/** Creates what the body holds. */
export async function createObject(exchange: Exchange): Promise<FastifyReply> {
  const { request, endpoint, api } = exchange
  const context = contextOf(exchange)
  const { namespace } = targetOf(request)
  return write(exchange, context, 201, async () => {
    // What the body holds is checked by the API.
    const body = readObject(request) as KubeObject
    return api.create(endpoint.kind, namespace, body, context)
  })
}

/** Replaces an object by what the body holds. */
export async function updateObject(exchange: Exchange): Promise<FastifyReply> {
  const { request, endpoint, api } = exchange
  const context = contextOf(exchange)
  const { namespace, name } = targetOf(request)
  return write(exchange, context, 200, async () => {
    // What the body holds is checked by the API.
    const body = readObject(request) as KubeObject
    return api.update(endpoint.kind, namespace, name, body, context)
  })
}

/** Changes an object as the patch in the body says. */
export async function patchObject(exchange: Exchange): Promise<FastifyReply> {
  const { request, endpoint, api } = exchange
  const context = contextOf(exchange)
  const { namespace, name } = targetOf(request)
  return write(exchange, context, 200, async () => {
    const { type, body } = readPatch(request, patchTypesOf(endpoint.kind))
    return api.patch(endpoint.kind, namespace, name, type, body, context)
  })
}

async function write(
  { request, reply, presenter }: Exchange,
  { warnings }: WriteContext,
  code: number,
  run: () => Promise<KubeObject>,
): Promise<FastifyReply> {
  // Refused before anything is changed, not after.
  representationFor(request, 'object')
  const object = await run().finally(() => sendWarnings(reply, warnings))
  return sendObject(presenter, request, reply, object, code)
}

/** Deletes an object: answers what is left of it or, where nothing is, that it is gone. */
export async function deleteObject(exchange: Exchange): Promise<FastifyReply> {
  const { request, reply, endpoint, api, presenter } = exchange
  const { encoding } = representationFor(request, 'object')
  const { namespace, name } = targetOf(request)
  const context = contextOf(exchange)
  const options = readDeletion(request)
  if (options.dryRun) context.dryRun = true
  const { object, removed } = await api.delete(endpoint.kind, namespace, name, options, context)
  sendWarnings(reply, context.warnings)
  if (removed) return send(request, reply, encoding, goneStatus(endpoint.kind, object))
  const isCascade = readFlag(request.query as RawQuery, 'orphanDependents') === false
  return sendObject(presenter, request, reply, object, isCascade ? 202 : 200)
}

/** Source: `finishRequest` of the delete handler in `k8s.io/apiserver/pkg/endpoints/handlers`. */
function goneStatus({ group, plural }: Kind, { metadata: { name, uid } }: KubeObject) {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name, ...(group && { group }), kind: plural, uid },
  }
}

/** Deletes what the selectors pick: answers with what was there. */
export async function deleteObjects(exchange: Exchange): Promise<FastifyReply> {
  const { request, reply, endpoint, presenter, api } = exchange
  // Refused before anything is deleted.
  representationFor(request, 'list')
  const { namespace } = targetOf(request)
  const context = contextOf(exchange)
  const selection = readSelection(request.query as RawQuery, namespace)
  const options = readDeletion(request)
  if (options.dryRun) context.dryRun = true
  const deleted = await api.deleteCollection(endpoint.kind, selection, options, context)
  sendWarnings(reply, context.warnings)
  return sendList(presenter, request, reply, listingOf(deleted))
}
