import { parseExact } from '../../lib/exact-json.ts'
import { StatusError, type Status } from '../../lib/errors.ts'
import type { Kind } from '../../kinds/kind.ts'
import type { KubeObject } from '../../kinds/meta.ts'
import { ApiUnreachable, type KubeClient } from '../../kube/client.ts'
import type { Selection, WatchEvent } from '../store.ts'
import { collectionPath } from './paths.ts'

type Line<T> = WatchEvent<T> | { type: 'ERROR'; object: Partial<Status> }

/** The server ends a watch after this long, plus up to as much again so that not all come back together. */
const WATCH_SECONDS = 300

/**
 * Changes after `resourceVersion`. A connection that breaks ends the watch as the server's own end does: the caller
 * goes on from the last version seen. Throws 410 where that version is too old, `ApiUnreachable` where nobody answers.
 */
export async function* watchObjects<T extends KubeObject>(
  client: KubeClient,
  kind: Kind<T>,
  resourceVersion: string,
  { namespace = '', labelSelector, fieldSelector }: Selection,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<T>, void, undefined> {
  const lines = client.lines({
    method: 'GET',
    path: collectionPath(kind, namespace),
    query: {
      watch: true,
      resourceVersion,
      allowWatchBookmarks: true,
      timeoutSeconds: Math.round(WATCH_SECONDS * (1 + Math.random())),
      labelSelector,
      fieldSelector,
    },
    signal,
  })
  for await (const line of untilBroken(lines)) {
    // What the API is known to send on a watch.
    const event = parseExact(line) as Line<T>
    if (event.type === 'ERROR') throw StatusError.fromStatus(event.object, 500)
    yield event
  }
}

async function* untilBroken(lines: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  try {
    yield* lines
  } catch (error) {
    if (error instanceof StatusError || error instanceof ApiUnreachable) throw error
    // The connection broke in the middle of the body, or the signal aborted it: an end, like the server's own.
  }
}
