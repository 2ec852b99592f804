import { apiVersionOf, type Kind } from '../../kinds/kind.ts'
import { badRequest } from '../../lib/errors.ts'
import { isRecord } from '../../lib/json.ts'
import type { AnyObject } from '../parts.ts'

/**
 * A body as an object of the kind; a missing `apiVersion` or `kind` is filled in.
 *
 * Throws 400 where the body is no object or says it is of another kind.
 */
export function readBody(kind: Kind, body: unknown): AnyObject {
  if (!isRecord(body)) throw badRequest(`the body must be an object of kind ${kind.kind}`)
  const apiVersion = apiVersionOf(kind)
  if (body.apiVersion !== undefined && body.apiVersion !== apiVersion) {
    throw badRequest(
      `the API version in the data (${JSON.stringify(body.apiVersion)}) does not match the expected API version (${apiVersion})`,
    )
  }
  if (body.kind !== undefined && body.kind !== kind.kind) {
    throw badRequest(
      `the kind in the data (${JSON.stringify(body.kind)}) does not match the expected kind (${kind.kind})`,
    )
  }
  // `metadata` is checked by readMetadata.
  return { ...body, apiVersion, kind: kind.kind } as AnyObject
}

/** Throws 400 where the body names another namespace than the address. */
export function checkNamespace(kind: Kind, namespace: string, found: string | undefined): void {
  if (!kind.namespaced || !found || found === namespace) return
  throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
}

/** Throws 400 where the body names another object than the address. */
export function checkNameOnUrl(name: string, found: string | undefined): void {
  if (!found || found === name) return
  throw badRequest(`the name of the object (${found}) does not match the name on the URL (${name})`)
}
