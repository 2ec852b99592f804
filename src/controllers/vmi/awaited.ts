import type { Kind } from '../../kinds/kind.ts'
import { keyOf, type KubeObject } from '../../kinds/meta.ts'
import { attachmentKeyOf } from '../../kinds/network-attachment.ts'
import { CONFIGMAPS, NETWORK_ATTACHMENTS, SECRETS } from '../../kinds/table.ts'
import type { ControllerParts } from '../parts.ts'
import type { Reference } from './references.ts'

/**
 * Waits for Secrets, ConfigMaps and NetworkAttachmentDefinitions that VMIs name and that do not exist. Only these are watched, one by one: the
 * controller neither needs nor keeps the secrets of a whole cluster in memory.
 */
export interface Awaited extends AsyncDisposable {
  /** What the VMI of that key waits for now; an empty list ends it. */
  set(key: string, namespace: string, references: readonly Reference[]): void
}

type WaitParts = Pick<ControllerParts, 'store' | 'openInformer' | 'clock' | 'log'>

interface Wait {
  stop: AbortController
  closed: Promise<void>
}

/** Starts to wait; `onAppear` is called with the key of a VMI when something it waits for has come. */
export function openAwaited(parts: WaitParts, onAppear: (key: string) => void): Awaited {
  const waits = new Map<string, Map<string, Wait>>()
  const ending = new Set<Promise<void>>()
  return {
    set(key, namespace, references) {
      const wanted = new Map(references.map((reference) => [keyOfReference(reference), reference]))
      const present = waits.get(key) ?? new Map<string, Wait>()
      for (const [id, wait] of present) {
        if (wanted.has(id)) continue
        wait.stop.abort()
        present.delete(id)
      }
      for (const [id, reference] of wanted) {
        if (!present.has(id))
          present.set(
            id,
            startWait(namespace, reference, () => onAppear(key)),
          )
      }
      if (present.size > 0) waits.set(key, present)
      else waits.delete(key)
    },
    async [Symbol.asyncDispose]() {
      for (const wait of [...waits.values()].flatMap((present) => [...present.values()])) wait.stop.abort()
      waits.clear()
      await Promise.all(ending)
    },
  }

  function startWait(namespace: string, reference: Reference, appeared: () => void): Wait {
    const stop = new AbortController()
    const closed = follow(parts, namespace, reference, stop.signal, appeared)
    ending.add(closed)
    void closed.then(() => ending.delete(closed))
    return { stop, closed }
  }
}

/** Calls `appeared` when the object comes; resolves once it does not look any more. */
function follow(
  parts: WaitParts,
  namespace: string,
  { kind, name }: Reference,
  signal: AbortSignal,
  appeared: () => void,
): Promise<void> {
  const open = <T extends KubeObject>(what: Kind<T>, key: { namespace: string; name: string }) => {
    const selection = { namespace: key.namespace, fieldSelector: `metadata.name=${key.name}` }
    const informer = parts.openInformer(parts.store, what, selection, { ...parts, signal })
    informer.onChange((_before, after) => {
      if (after) appeared()
    })
    return informer.closed
  }
  if (kind === 'Secret') return open(SECRETS, { namespace, name })
  if (kind === 'ConfigMap') return open(CONFIGMAPS, { namespace, name })
  return open(NETWORK_ATTACHMENTS, attachmentKeyOf(name, namespace))
}

function keyOfReference({ kind, name }: Reference): string {
  return keyOf({ namespace: kind, name })
}
