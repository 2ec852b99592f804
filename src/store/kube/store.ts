import { StatusError } from '../../lib/errors.ts'
import { apiVersionOf, type Kind } from '../../kinds/kind.ts'
import type { KubeObject } from '../../kinds/meta.ts'
import type { KubeClient } from '../../kube/client.ts'
import type { DeleteOptions, Patch, Store, WriteOptions } from '../store.ts'
import { listObjects } from './list.ts'
import { collectionPath, objectPath } from './paths.ts'
import { watchObjects } from './watch.ts'

/** The store over a Kubernetes API, as the user of `client`, who closes it. */
export function openKubeStore(client: KubeClient): Store {
  return {
    async get<T extends KubeObject>(kind: Kind<T>, namespace: string, name: string): Promise<T | undefined> {
      try {
        return await client.call<T>({ method: 'GET', path: objectPath(kind, namespace, name) })
      } catch (error) {
        if (isObjectMissing(error)) return undefined
        throw error
      }
    },
    list: (kind, selection = {}) => listObjects(client, kind, selection),
    watch: (kind, resourceVersion, selection, signal) =>
      watchObjects(client, kind, resourceVersion, selection, signal),
    create: (kind, object, options = {}) =>
      client.call({
        method: 'POST',
        path: collectionPath(kind, object.metadata.namespace ?? ''),
        query: dryRun(options),
        body: { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind },
      }),
    update: (kind, object, options = {}) => {
      const { namespace = '', name } = object.metadata
      return client.call({
        method: 'PUT',
        path: objectPath(kind, namespace, name, options.subresource),
        query: dryRun(options),
        body: object,
      })
    },
    patch: (kind, namespace, name, patch, options = {}) =>
      client.call({
        method: 'PATCH',
        path: objectPath(kind, namespace, name, options.subresource),
        query: dryRun(options),
        ...patchBody(patch),
      }),
    async delete(kind, namespace, name, options = {}) {
      const path = objectPath(kind, namespace, name)
      await client.call({ method: 'DELETE', path, body: deleteBody(options) })
    },
  }
}

/** Whether the object is not there; a kind that the server does not know is another matter, and has no name. */
function isObjectMissing(error: unknown): boolean {
  return error instanceof StatusError && error.reason === 'NotFound' && error.details?.name !== undefined
}

function dryRun({ dryRun }: WriteOptions): { dryRun?: string } {
  return dryRun ? { dryRun: 'All' } : {}
}

function patchBody(patch: Patch): { contentType: string; body: unknown } {
  return patch.type === 'json'
    ? { contentType: 'application/json-patch+json', body: patch.operations }
    : { contentType: 'application/merge-patch+json', body: patch.body }
}

function deleteBody({ dryRun, ...options }: DeleteOptions): object {
  return { apiVersion: 'v1', kind: 'DeleteOptions', ...options, ...(dryRun && { dryRun: ['All'] }) }
}
