import type { Kind } from '../kinds/kind.ts'
import type { KubeObject, NamespacedMeta } from '../kinds/meta.ts'
import { StatusError } from '../lib/errors.ts'
import type { JsonPatchOperation, WriteOptions } from '../store/store.ts'
import type { Call } from './subresource.ts'

/** An object that lives in a namespace. */
export type Namespaced = KubeObject & { metadata: NamespacedMeta }

/** How an object is to be patched. */
export interface LockedPatch<T extends Namespaced> {
  kind: Kind<T>
  /** Reads the object anew. Throws 404. */
  read: () => Promise<T>
  /** What is to be done about the object as it was read. May throw a refusal. */
  decide: (object: T) => JsonPatchOperation[] | Promise<JsonPatchOperation[]>
  options: WriteOptions
}

/** How often somebody else may be faster before the client is told. */
const ATTEMPTS = 5

/**
 * Reads an object, has `decide` say what to change, and changes it, if it is still as it was read; else from the start
 * (contract: PA-1, PA-2, VO-1). What `decide` and the store refuse passes through.
 */
export async function patchLocked<T extends Namespaced>(
  { store }: Pick<Call, 'store'>,
  { kind, read, decide, options }: LockedPatch<T>,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const object = await read()
    const operations = await decide(object)
    const { namespace, name, resourceVersion } = object.metadata
    const test: JsonPatchOperation = { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion }
    try {
      await store.patch(kind, namespace, name, { type: 'json', operations: [test, ...operations] }, options)
      return
    } catch (error) {
      if (attempt === ATTEMPTS || !(await isLostRace(error, object, read))) throw error
    }
  }
}

/** Whether the write failed because what was read is no longer so. A failed `test` is 422 in Kubernetes. */
async function isLostRace<T extends Namespaced>(
  error: unknown,
  { metadata }: T,
  read: () => Promise<T>,
): Promise<boolean> {
  if (!(error instanceof StatusError)) return false
  if (error.code === 409) return true
  return error.code === 422 && (await read()).metadata.resourceVersion !== metadata.resourceVersion
}

/** Sets one member of an object's status, whether or not the object has a status. */
export function setInStatus(status: object | undefined, member: string, value: unknown): JsonPatchOperation {
  return status
    ? { op: 'add', path: `/status/${member}`, value }
    : { op: 'add', path: '/status', value: { [member]: value } }
}
