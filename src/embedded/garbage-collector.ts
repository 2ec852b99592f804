import { apiVersionOf, type Kind } from '../kinds/kind.ts'
import type { OwnerReference } from '../kinds/meta.ts'
import { hasReason } from '../lib/errors.ts'
import { openWorkQueue, type WorkQueue } from '../lib/work-queue.ts'
import { kindKey, type Change, type ObjectKey } from '../store/sqlite/rows.ts'
import type { DeleteOptions } from '../store/store.ts'
import { systemUser, type BackgroundParts } from './background.ts'
import { FOREGROUND_FINALIZER, ORPHAN_FINALIZER } from './objects/delete.ts'
import { parseObject } from './objects/rows.ts'
import { formatKey, OwnerIndex, parseKey, type Dependent } from './owner-index.ts'
import type { AnyObject } from './parts.ts'

const USER = systemUser('generic-garbage-collector')

/**
 * Deletes objects whose owners are gone, and carries out foreground and orphan deletion.
 *
 * It begins with what is stored, so what it missed while it was not running is made up for.
 * Source: "Garbage Collection" in the Kubernetes documentation.
 */
export function startGarbageCollector(parts: BackgroundParts): AsyncDisposable {
  const collector = new Collector(parts)
  collector.start()
  return collector
}

class Collector implements AsyncDisposable {
  readonly #parts: BackgroundParts
  readonly #index = new OwnerIndex()
  readonly #kindsByKey: Map<string, Kind>
  readonly #owners: WorkQueue
  readonly #dependents: WorkQueue
  #subscription: Disposable | undefined

  constructor(parts: BackgroundParts) {
    this.#parts = parts
    this.#kindsByKey = new Map(parts.kinds.map((kind) => [kindKey(kind), kind]))
    const { clock, log } = parts
    const onError = (key: string, err: unknown, retryMs: number) =>
      log.warn({ err, key, retryMs }, 'garbage could not be collected')
    this.#owners = openWorkQueue({ workers: 1, clock, onError, run: (uid) => this.#tendOwner(uid) })
    this.#dependents = openWorkQueue({ workers: 4, clock, onError, run: (key) => this.#tendDependent(key) })
  }

  start(): void {
    for (const kind of this.#kindsByKey.keys()) {
      for (const row of this.#parts.database.list({ kind })) this.#learn({ kind, ...row }, row.json)
    }
    this.#subscription = this.#parts.database.subscribe((changes) =>
      changes.forEach((change) => this.#follow(change)),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#subscription?.[Symbol.dispose]()
    await this.#owners[Symbol.asyncDispose]()
    await this.#dependents[Symbol.asyncDispose]()
  }

  #follow(change: Change): void {
    const { kind, namespace, name } = change
    const key = { kind, namespace, name }
    if (change.type !== 'DELETED') return this.#learn(key, change.json)
    for (const { uid } of this.#index.delete(key)?.owners ?? []) this.#owners.add(uid)
    this.#owners.add(parseObject(change).metadata.uid)
  }

  #learn({ kind, namespace, name }: ObjectKey, json: string): void {
    const key = { kind, namespace, name }
    // Most objects have neither owners nor such finalizers: they are not worth parsing.
    const owned = json.includes('"ownerReferences"')
    if (!owned) this.#index.delete(key)
    if (!owned && !json.includes(`"${FOREGROUND_FINALIZER}"`) && !json.includes(`"${ORPHAN_FINALIZER}"`))
      return
    const { metadata } = parseObject({ json })
    this.#index.set({ key, owners: metadata.ownerReferences ?? [] })
    if (metadata.ownerReferences?.length) this.#addDependent(key)
    if (metadata.deletionTimestamp) this.#owners.add(metadata.uid)
  }

  #addDependent(key: ObjectKey): void {
    this.#dependents.add(formatKey(key))
  }

  /** Looks at an object that was deleted, or is waiting for those that depend on it. */
  async #tendOwner(uid: string): Promise<void> {
    const dependents = this.#index.dependentsOf(uid)
    const row = this.#parts.database.findByUid(uid)
    const object = row && parseObject(row)
    if (!object) return dependents.forEach(({ key }) => this.#addDependent(key))
    if (!row || !object.metadata.deletionTimestamp) return
    const { finalizers = [] } = object.metadata
    if (finalizers.includes(ORPHAN_FINALIZER)) {
      for (const { key } of dependents) await this.#dropOwners(key, (owner) => owner.uid === uid)
      await this.#dropFinalizer(row, object, ORPHAN_FINALIZER)
    } else if (finalizers.includes(FOREGROUND_FINALIZER)) {
      for (const { key } of dependents) this.#addDependent(key)
      if (!dependents.some((dependent) => blocks(dependent, uid))) {
        await this.#dropFinalizer(row, object, FOREGROUND_FINALIZER)
      }
    }
  }

  /** Deletes an object that has no owner left, or only such as wait for it to go. */
  async #tendDependent(text: string): Promise<void> {
    const key = parseKey(text)
    const row = this.#parts.database.get(key)
    if (!row) return
    const { metadata } = parseObject(row)
    const { ownerReferences: owners = [] } = metadata
    if (metadata.deletionTimestamp || owners.length === 0) return
    const states = owners.map((owner) => this.#stateOf(owner, key.namespace))
    if (states.includes('solid')) {
      if (states.some((state) => state !== 'solid')) {
        const loose = new Set(
          owners.filter((_owner, position) => states[position] !== 'solid').map(({ uid }) => uid),
        )
        await this.#dropOwners(key, ({ uid }) => loose.has(uid))
      }
      return
    }
    const isForeground = states.includes('waiting') && this.#index.dependentsOf(metadata.uid).length > 0
    const propagationPolicy = isForeground ? 'Foreground' : policyOf(metadata.finalizers)
    await this.#delete(key, { propagationPolicy, preconditions: { uid: metadata.uid } })
  }

  /** Whether an owner is there to stay, waits for its dependents to go, or is gone. */
  #stateOf({ apiVersion, kind, name, uid }: OwnerReference, namespace: string): 'solid' | 'waiting' | 'gone' {
    const known = this.#parts.kinds.find((row) => row.kind === kind && apiVersionOf(row) === apiVersion)
    // Of a kind that is not served here nobody can say that it is gone.
    if (!known) return 'solid'
    const row = this.#parts.database.findByUid(uid)
    const isIt =
      row?.kind === kindKey(known) && row.name === name && (!known.namespaced || row.namespace === namespace)
    if (!row || !isIt) return 'gone'
    const { metadata } = parseObject(row)
    const isWaiting = metadata.deletionTimestamp && metadata.finalizers?.includes(FOREGROUND_FINALIZER)
    return isWaiting ? 'waiting' : 'solid'
  }

  async #delete(key: ObjectKey, options: DeleteOptions): Promise<void> {
    await this.#unlessGone(key, async (kind) => {
      await this.#parts.api.delete(kind, key.namespace, key.name, options, { user: USER, warnings: [] })
    })
  }

  async #dropOwners(key: ObjectKey, isLoose: (owner: OwnerReference) => boolean): Promise<void> {
    const row = this.#parts.database.get(key)
    if (!row) return
    const { ownerReferences = [], resourceVersion } = parseObject(row).metadata
    const kept = ownerReferences.filter((owner) => !isLoose(owner))
    await this.#patchMetadata(key, { ownerReferences: kept, resourceVersion })
  }

  async #dropFinalizer(key: ObjectKey, { metadata }: AnyObject, finalizer: string): Promise<void> {
    const finalizers = (metadata.finalizers ?? []).filter((other) => other !== finalizer)
    await this.#patchMetadata(key, { finalizers, resourceVersion: metadata.resourceVersion })
  }

  async #patchMetadata(key: ObjectKey, metadata: Record<string, unknown>): Promise<void> {
    await this.#unlessGone(key, async (kind) => {
      const context = { user: USER, warnings: [] }
      await this.#parts.api.patch(kind, key.namespace, key.name, 'merge', { metadata }, context)
    })
  }

  async #unlessGone(key: ObjectKey, run: (kind: Kind) => Promise<void>): Promise<void> {
    const kind = this.#kindsByKey.get(key.kind)
    if (!kind) return
    try {
      await run(kind)
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error
    }
  }
}

function blocks({ owners }: Dependent, uid: string): boolean {
  return owners.some((owner) => owner.uid === uid && owner.blockOwnerDeletion === true)
}

function policyOf(finalizers: string[] = []): 'Orphan' | 'Foreground' | 'Background' {
  if (finalizers.includes(ORPHAN_FINALIZER)) return 'Orphan'
  return finalizers.includes(FOREGROUND_FINALIZER) ? 'Foreground' : 'Background'
}
