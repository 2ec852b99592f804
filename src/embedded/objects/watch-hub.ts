import { atRevision, kindKey, type Change, type ObjectDatabase } from '../../store/sqlite/rows.ts'
import type { Kind } from '../../kinds/kind.ts'
import type { ServedEvent } from '../api.ts'
import type { AnyObject } from '../parts.ts'
import { parseObject } from './rows.ts'

/** A change, parsed at most once and serialised at most once for all who watch it. */
export class SharedChange {
  readonly change: Change
  #object: AnyObject | undefined
  #previous: AnyObject | undefined
  #goneJson: string | undefined

  constructor(change: Change) {
    this.change = change
  }

  /** The object after the change. Shared: not to be changed. */
  get object(): AnyObject {
    return (this.#object ??= parseObject(this.change))
  }

  /** The object before the change. Shared: not to be changed. */
  get previous(): AnyObject | undefined {
    const { previousJson } = this.change
    if (previousJson === undefined) return undefined
    return (this.#previous ??= parseObject({ json: previousJson }))
  }

  /** The change as those see it who are shown the object in both states. */
  asEvent(type: ServedEvent['type']): ServedEvent {
    return eventOf(type, this.change.json, () => this.object)
  }

  /** The change as those see it for whom the object stopped to match: as it last did. */
  asGone(): ServedEvent {
    const { json, previousJson, revision } = this.change
    const text = (this.#goneJson ??= previousJson === undefined ? json : atRevision(previousJson, revision))
    return eventOf('DELETED', text, () => parseObject({ json: text }))
  }
}

/** An event whose object is parsed only where somebody looks at it. */
export function eventOf(type: ServedEvent['type'], json: string, parse: () => AnyObject): ServedEvent {
  let object: AnyObject | undefined
  return {
    type,
    json,
    get object() {
      return (object ??= parse())
    },
  }
}

/** Hands the changes of each commit to those who watch their kind. */
export interface WatchHub extends Disposable {
  subscribe(kind: Kind, listener: (change: SharedChange) => void): Disposable
}

/** Opens a hub on a database. */
export function openWatchHub(database: Pick<ObjectDatabase, 'subscribe'>): WatchHub {
  const listeners = new Map<string, Set<(change: SharedChange) => void>>()
  const subscription = database.subscribe((changes) => {
    for (const change of changes) {
      const interested = listeners.get(change.kind)
      if (!interested?.size) continue
      const shared = new SharedChange(change)
      for (const listener of interested) listener(shared)
    }
  })
  return {
    subscribe(kind, listener) {
      const key = kindKey(kind)
      const interested = listeners.get(key) ?? new Set()
      listeners.set(key, interested.add(listener))
      return { [Symbol.dispose]: () => void interested.delete(listener) }
    },
    [Symbol.dispose]() {
      listeners.clear()
      subscription[Symbol.dispose]()
    },
  }
}
