import { refusedKind, type Kind } from '../../kinds/kind.ts'
import type { ObjectMeta } from '../../kinds/meta.ts'
import { requiredValue } from '../../lib/causes.ts'
import { timestamp } from '../../lib/clock.ts'
import { alreadyExists, badRequest, hasReason, invalid } from '../../lib/errors.ts'
import { checkDns1123Subdomain, generateName } from '../../lib/names.ts'
import { kindKey } from '../../store/sqlite/rows.ts'
import type { WriteContext } from '../api.ts'
import type { AnyObject, RegistryParts } from '../parts.ts'
import { strategyOf } from '../strategies/index.ts'
import { checkFields } from './fields.ts'
import { checkNamespace, readBody } from './identity.ts'
import { checkMetadata, readMetadata } from './metadata.ts'
import { requireActiveNamespace } from './namespace-state.ts'

/** Tries at a generated name before giving up; that many clashes are no chance. */
const NAME_TRIES = 8

/** Creates an object: completes it, checks it, stores it. */
export async function createObject(
  parts: RegistryParts,
  kind: Kind,
  namespace: string,
  body: unknown,
  context: WriteContext,
): Promise<AnyObject> {
  const object = checkFields(parts.shapes, kind, readBody(kind, body), context)
  const metadata = readMetadata(object.metadata)
  if (metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created')
  checkNamespace(kind, namespace, metadata.namespace)
  for (let attempt = 1; ; attempt++) {
    const draft = { ...structuredClone(object), metadata: completeMetadata(parts, kind, namespace, metadata) }
    try {
      return await createOnce(parts, kind, draft, context)
    } catch (error) {
      if (metadata.name || attempt === NAME_TRIES || !hasReason(error, 'AlreadyExists')) throw error
    }
  }
}

function completeMetadata(
  parts: RegistryParts,
  kind: Kind,
  namespace: string,
  given: ObjectMeta,
): ObjectMeta {
  const { generateName: base, labels, annotations, ownerReferences, finalizers } = given
  const name = given.name || (base ? generateName(base, (below) => parts.random(below)) : '')
  if (!name) {
    throw invalid(refusedKind(kind), '', [
      requiredValue('metadata.name', 'Required value: name or generateName is required'),
    ])
  }
  return {
    name,
    ...(base && { generateName: base }),
    ...(kind.namespaced && { namespace }),
    uid: parts.newUid(),
    resourceVersion: '',
    creationTimestamp: timestamp(parts.clock),
    // Custom kinds count generations, as those of a CustomResourceDefinition do.
    ...(!kind.builtIn && { generation: 1 }),
    ...(labels && { labels }),
    ...(annotations && { annotations }),
    ...(ownerReferences && { ownerReferences }),
    ...(finalizers && { finalizers }),
  }
}

async function createOnce(
  parts: RegistryParts,
  kind: Kind,
  draft: AnyObject,
  context: WriteContext,
): Promise<AnyObject> {
  const { namespace = '', name } = draft.metadata
  requireActiveNamespace(parts.database, kind, namespace, name)
  const strategy = strategyOf(kind)
  if (kind.hasStatus) delete draft.status
  strategy.prepareCreate?.(draft)
  const { object: admitted, warnings } = await parts.admission.review({
    operation: 'CREATE',
    kind,
    namespace,
    name,
    object: draft,
    user: context.user,
    dryRun: context.dryRun ?? false,
  })
  const object = admitted as AnyObject
  const causes = [
    ...checkMetadata(object.metadata, strategy.checkName ?? checkDns1123Subdomain),
    ...(strategy.check?.(object, undefined) ?? []),
  ]
  if (causes.length > 0) throw invalid(refusedKind(kind), name, causes)
  const stored = await store(parts, kind, object, context.dryRun ?? false)
  context.warnings.push(...warnings)
  return stored
}

async function store(
  parts: RegistryParts,
  kind: Kind,
  object: AnyObject,
  dryRun: boolean,
): Promise<AnyObject> {
  const { namespace = '', name } = object.metadata
  const key = { kind: kindKey(kind), namespace, name }
  if (dryRun) {
    if (parts.database.get(key)) throw alreadyExists(refusedKind(kind), name)
    return object
  }
  return parts.database.write((transaction) => {
    if (transaction.get(key)) throw alreadyExists(refusedKind(kind), name)
    // The namespace may have gone while admission was asked.
    requireActiveNamespace(transaction, kind, namespace, name)
    return transaction.put(key.kind, object)
  })
}
