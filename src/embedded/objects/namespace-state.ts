import { refusedKind, type Kind } from '../../kinds/kind.ts'
import { NAMESPACES } from '../../kinds/table.ts'
import { notFound, StatusError } from '../../lib/errors.ts'
import { kindKey, type ObjectDatabase, type Transaction } from '../../store/sqlite/rows.ts'
import { parseObject } from './rows.ts'

/**
 * Refuses to create in a namespace that is not there (404) or is being deleted (403).
 *
 * Source: the NamespaceLifecycle admission plugin of Kubernetes.
 */
export function requireActiveNamespace(
  rows: Pick<ObjectDatabase | Transaction, 'get'>,
  kind: Kind,
  namespace: string,
  name: string,
): void {
  if (!kind.namespaced) return
  const row = rows.get({ kind: kindKey(NAMESPACES), namespace: '', name: namespace })
  if (!row) throw notFound(refusedKind(NAMESPACES), namespace)
  if (parseObject(row).metadata.deletionTimestamp) throw terminating(kind, namespace, name)
}

function terminating(kind: Kind, namespace: string, name: string): StatusError {
  const { group, kind: plural } = refusedKind(kind)
  const subject = `${group ? `${plural}.${group}` : plural} "${name}"`
  return new StatusError(
    403,
    'Forbidden',
    `${subject} is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`,
    {
      name,
      ...(group && { group }),
      kind: plural,
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    },
  )
}
