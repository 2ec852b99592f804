import { StatusError } from '../../lib/errors.ts'
import { apiVersionOf, type Kind } from '../../kinds/kind.ts'
import type { KubeObject } from '../../kinds/meta.ts'
import type { KubeClient } from '../../kube/client.ts'
import type { ObjectList, Selection } from '../store.ts'
import { collectionPath } from './paths.ts'

interface Page<T> {
  metadata: { resourceVersion: string; continue?: string }
  items: T[] | null
}

/** Objects a page: what kubectl asks for, too. */
const PAGE = 500

/** All objects of a selection, fetched in pages that belong to one moment. */
export async function listObjects<T extends KubeObject>(
  client: KubeClient,
  kind: Kind<T>,
  selection: Selection,
): Promise<ObjectList<T>> {
  try {
    return await listPages(client, kind, selection, PAGE)
  } catch (error) {
    // The moment of the first page has been forgotten meanwhile: all at once, then.
    if (error instanceof StatusError && error.code === 410) {
      return listPages(client, kind, selection, undefined)
    }
    throw error
  }
}

async function listPages<T extends KubeObject>(
  client: KubeClient,
  kind: Kind<T>,
  { namespace = '', labelSelector, fieldSelector }: Selection,
  limit: number | undefined,
): Promise<ObjectList<T>> {
  const path = collectionPath(kind, namespace)
  const items: T[] = []
  let token: string | undefined
  for (;;) {
    const query = { limit, continue: token, labelSelector, fieldSelector }
    const page: Page<T> = await client.call({ method: 'GET', path, query })
    for (const item of page.items ?? []) items.push(withType(kind, item))
    token = page.metadata.continue
    if (!token) return { items, resourceVersion: page.metadata.resourceVersion }
  }
}

/** kube-apiserver leaves `apiVersion` and `kind` out of the items of a list. */
function withType<T extends KubeObject>(kind: Kind<T>, item: T): T {
  return { ...item, apiVersion: apiVersionOf(kind), kind: kind.kind }
}
