import { NAMESPACES, SERVICE_ACCOUNTS } from '../kinds/table.ts'
import { hasReason } from '../lib/errors.ts'
import { isRecord } from '../lib/json.ts'
import { openWorkQueue } from '../lib/work-queue.ts'
import { kindKey, type Change, type Transaction } from '../store/sqlite/rows.ts'
import type { Store } from '../store/store.ts'
import { systemUser, type BackgroundParts } from './background.ts'
import { parseObject } from './objects/rows.ts'
import { NAMESPACE_FINALIZER, SYSTEM_NAMESPACES } from './strategies/namespaces.ts'

const USER = systemUser('namespace-controller')
const NAMESPACE_KEY = kindKey(NAMESPACES)

/** Creates the namespaces that are always there, where they are missing. */
export async function createSystemNamespaces(store: Pick<Store, 'get' | 'create'>): Promise<void> {
  for (const name of SYSTEM_NAMESPACES) {
    if (await store.get(NAMESPACES, '', name)) continue
    await store.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  }
}

/**
 * Gives each namespace its `default` ServiceAccount, and empties and removes the ones that are deleted.
 *
 * Closing it stops the work; what is left is found again at the next start.
 */
export function startNamespaceController(parts: BackgroundParts): AsyncDisposable {
  const { database, clock, log } = parts
  const queue = openWorkQueue({
    workers: 1,
    clock,
    run: (name) => tendNamespace(parts, name),
    onError: (name, err, retryMs) =>
      log.warn({ err, namespace: name, retryMs }, 'a namespace could not be tended'),
  })
  const subscription = database.subscribe((changes) => {
    for (const name of changes.map(namespaceToTend)) if (name !== undefined) queue.add(name)
  })
  for (const { name } of database.list({ kind: NAMESPACE_KEY })) queue.add(name)
  return {
    async [Symbol.asyncDispose]() {
      subscription[Symbol.dispose]()
      await queue[Symbol.asyncDispose]()
    },
  }
}

/** The namespace that a change may be of interest to: it changed, or there is less in it. */
function namespaceToTend({ kind, namespace, name, type }: Change): string | undefined {
  if (kind === NAMESPACE_KEY) return type === 'DELETED' ? undefined : name
  return type === 'DELETED' && namespace !== '' ? namespace : undefined
}

async function tendNamespace(parts: BackgroundParts, name: string): Promise<void> {
  const row = parts.database.get({ kind: NAMESPACE_KEY, namespace: '', name })
  if (!row) return
  if (parseObject(row).metadata.deletionTimestamp) await emptyNamespace(parts, name)
  else await createDefaultAccount(parts.api.as(USER), name)
}

async function createDefaultAccount(store: Store, namespace: string): Promise<void> {
  if (await store.get(SERVICE_ACCOUNTS, namespace, 'default')) return
  try {
    await store.create(SERVICE_ACCOUNTS, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace },
    })
  } catch (error) {
    // Somebody made it, or the namespace is going: its own change brings it back here.
    if (!['AlreadyExists', 'Forbidden', 'NotFound'].some((reason) => hasReason(error, reason))) throw error
  }
}

async function emptyNamespace({ api, database, kinds }: BackgroundParts, namespace: string): Promise<void> {
  const contents = kinds.filter((kind) => kind.namespaced)
  for (const kind of contents) {
    await api.deleteCollection(
      kind,
      { namespace },
      { propagationPolicy: 'Background' },
      { user: USER, warnings: [] },
    )
  }
  await database.write((transaction) => {
    // What still has finalizers brings the namespace back here when it goes.
    if (contents.some((kind) => transaction.has({ kind: kindKey(kind), namespace }))) return
    releaseNamespace(transaction, namespace)
  })
}

function releaseNamespace(transaction: Transaction, name: string): void {
  const key = { kind: NAMESPACE_KEY, namespace: '', name }
  const row = transaction.get(key)
  if (!row) return
  const object = parseObject(row)
  if (!object.metadata.deletionTimestamp || !isRecord(object.spec)) return
  const present = Array.isArray(object.spec.finalizers) ? object.spec.finalizers : []
  const finalizers = present.filter((finalizer) => finalizer !== NAMESPACE_FINALIZER)
  if (finalizers.length === 0 && !object.metadata.finalizers?.length) transaction.remove(key)
  else if (finalizers.length < present.length) {
    transaction.put(NAMESPACE_KEY, { ...object, spec: { ...object.spec, finalizers } })
  }
}
