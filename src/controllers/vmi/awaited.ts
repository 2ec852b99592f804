import type { Kind } from '../../kinds/kind.ts'
import { keyOf, selectOne, type KubeObject } from '../../kinds/meta.ts'
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

/** Starts to wait; `onAppear` is called with the key of a VMI when something it waits for has come. */
export function openAwaited(parts: WaitParts, onAppear: (key: string) => void): Awaited {
  const waits = new Map<string, Map<string, AsyncDisposable>>()
  const ending = new Set<PromiseLike<void>>()
  return {
    set(key, namespace, references) {
      const wanted = new Map(references.map((reference) => [keyOfReference(reference), reference]))
      const present = waits.get(key) ?? new Map<string, AsyncDisposable>()
      for (const [id, wait] of present) {
        if (wanted.has(id)) continue
        end(wait)
        present.delete(id)
      }
      for (const [id, reference] of wanted) {
        if (present.has(id)) continue
        const appeared = () => onAppear(key)
        present.set(id, follow(parts, namespace, reference, appeared))
      }
      if (present.size > 0) waits.set(key, present)
      else waits.delete(key)
    },
    async [Symbol.asyncDispose]() {
      for (const present of waits.values()) for (const wait of present.values()) end(wait)
      waits.clear()
      await Promise.all(ending)
    },
  }

  function end(wait: AsyncDisposable): void {
    const ended = wait[Symbol.asyncDispose]()
    ending.add(ended)
    void ended.then(() => ending.delete(ended))
  }
}

/** Calls `appeared` when the object comes. */
function follow(
  parts: WaitParts,
  namespace: string,
  { kind, name }: Reference,
  appeared: () => void,
): AsyncDisposable {
  const open = <T extends KubeObject>(what: Kind<T>, key: { namespace: string; name: string }) => {
    const informer = parts.openInformer(parts.store, what, selectOne(key), parts)
    informer.onChange((_before, after) => {
      if (after) appeared()
    })
    return informer
  }
  if (kind === 'Secret') return open(SECRETS, { namespace, name })
  if (kind === 'ConfigMap') return open(CONFIGMAPS, { namespace, name })
  return open(NETWORK_ATTACHMENTS, attachmentKeyOf(name, namespace))
}

function keyOfReference({ kind, name }: Reference): string {
  return keyOf({ namespace: kind, name })
}
