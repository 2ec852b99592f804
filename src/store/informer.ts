import { backoffMs } from '../lib/backoff.ts'
import { wait } from '../lib/clock.ts'
import { StatusError } from '../lib/errors.ts'
import type { Kind } from '../kinds/kind.ts'
import { keyOf } from '../kinds/meta.ts'
import type { KubeObject } from '../kinds/meta.ts'
import type { ChangeHandler, Informer, InformerOptions } from './cache.ts'
import type { ObjectReader, ObjectWatcher, Selection, WatchEvent } from './store.ts'

const BACKOFF = { baseMs: 100, maxMs: 30_000 }

/**
 * Lists the selection, follows it from there on and keeps the result in memory until disposed of.
 *
 * The end of a watch is no error: it is resumed where it stood. After any failure, 410 included, the selection
 * is listed anew, with a growing delay. A list asks for the newest state, so it cannot take the cache back in
 * time; resource versions are compared for equality alone.
 */
export function openInformer<T extends KubeObject>(
  source: ObjectReader & ObjectWatcher,
  kind: Kind<T>,
  selection: Selection,
  options: InformerOptions<T>,
): Informer<T> {
  const stop = new AbortController()
  const cache = new Cache<T>(options)
  const following = follow(source, kind, selection, { ...options, signal: stop.signal }, cache)
  const closed = following.finally(cache.markSynced)
  return Object.assign(cache, {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await closed
    },
  })
}

async function follow<T extends KubeObject>(
  source: ObjectReader & ObjectWatcher,
  kind: Kind<T>,
  selection: Selection,
  { signal, clock, log }: InformerOptions<T> & { signal: AbortSignal },
  cache: Cache<T>,
): Promise<void> {
  let version: string | undefined
  let fruitless = 0
  while (!signal.aborted) {
    try {
      if (version === undefined) {
        const list = await source.list(kind, selection)
        if (signal.aborted) return
        cache.replace(list.items)
        version = list.resourceVersion
      }
      let fruitful = false
      for await (const event of source.watch(kind, version, selection, signal)) {
        fruitful = true
        version = event.object.metadata.resourceVersion
        cache.apply(event)
      }
      // An end without a single event is resumed with a delay, so that a broken server is not flooded.
      fruitless = fruitful ? 0 : fruitless + 1
    } catch (error) {
      if (signal.aborted) return
      version = undefined
      fruitless++
      const tooOld = error instanceof StatusError && error.code === 410
      log[tooOld ? 'debug' : 'warn']({ err: error, kind: kind.kind }, 'listing again after a broken watch')
    }
    if (fruitless > 0) await wait(clock, backoffMs(BACKOFF, fruitless, Math.random()), signal)
  }
}

class Cache<T extends KubeObject> {
  readonly synced: Promise<void>
  readonly markSynced: () => void
  readonly #objects = new Map<string, T>()
  readonly #handlers = new Set<ChangeHandler<T>>()
  readonly #indexes: { name: string; values: (object: T) => string[]; keys: Map<string, Set<string>> }[]
  readonly #log: InformerOptions<T>['log']

  constructor({ indexes = {}, log }: InformerOptions<T>) {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.synced = promise
    this.markSynced = resolve
    this.#log = log
    this.#indexes = Object.entries(indexes).map(([name, values]) => ({ name, values, keys: new Map() }))
  }

  get(namespace: string, name: string): T | undefined {
    return this.#objects.get(keyOf({ namespace, name }))
  }

  list(): T[] {
    return [...this.#objects.values()]
  }

  by(index: string, value: string): T[] {
    const found = this.#indexes.find(({ name }) => name === index)
    if (!found) throw new RangeError(`this informer has no index named ${index}`)
    return [...(found.keys.get(value) ?? [])].flatMap((key) => this.#objects.get(key) ?? [])
  }

  onChange(handler: ChangeHandler<T>): Disposable {
    this.#handlers.add(handler)
    return { [Symbol.dispose]: () => void this.#handlers.delete(handler) }
  }

  /** Takes in a whole list: what is not in it is gone. */
  replace(items: T[]): void {
    const keys = new Set(items.map(({ metadata }) => keyOf(metadata)))
    for (const [key, object] of this.#objects) if (!keys.has(key)) this.#set(key, object, undefined)
    for (const item of items) this.#put(item)
    this.markSynced()
  }

  apply({ type, object }: WatchEvent<T>): void {
    if (type === 'BOOKMARK') return
    if (type !== 'DELETED') return this.#put(object)
    const key = keyOf(object.metadata)
    // The object of the event is its last state, which readers may not have seen.
    if (this.#objects.has(key)) this.#set(key, object, undefined)
  }

  #put(object: T): void {
    const key = keyOf(object.metadata)
    const before = this.#objects.get(key)
    if (before?.metadata.resourceVersion === object.metadata.resourceVersion) return
    if (before && before.metadata.uid !== object.metadata.uid) {
      this.#set(key, before, undefined)
      this.#set(key, undefined, object)
    } else this.#set(key, before, object)
  }

  #set(key: string, before: T | undefined, after: T | undefined): void {
    const stored = this.#objects.get(key)
    if (after) this.#objects.set(key, after)
    else this.#objects.delete(key)
    for (const { values, keys } of this.#indexes) {
      if (stored) for (const value of values(stored)) keys.get(value)?.delete(key)
      if (after) for (const value of values(after)) addTo(keys, value, key)
      if (stored) for (const value of values(stored)) if (keys.get(value)?.size === 0) keys.delete(value)
    }
    for (const handler of this.#handlers) this.#tell(handler, before, after)
  }

  #tell(handler: ChangeHandler<T>, before: T | undefined, after: T | undefined): void {
    try {
      handler(before, after)
    } catch (error) {
      // One reader's bug must not stop the cache for the others.
      this.#log.error({ err: error }, 'a handler of an informer failed')
    }
  }
}

function addTo(keys: Map<string, Set<string>>, value: string, key: string): void {
  const present = keys.get(value)
  if (present) present.add(key)
  else keys.set(value, new Set([key]))
}
