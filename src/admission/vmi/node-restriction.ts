import type { Vmi } from '../../kinds/kubevirt.ts'
import { invalidValue } from '../../lib/causes.ts'
import type { Cause } from '../../lib/errors.ts'
import { kubeVirtUser } from '../accounts.ts'
import type { ReviewInput } from '../review-input.ts'

/** Where Kubernetes says which node a service account's token is bound to. */
const NODE_NAME = 'authentication.kubernetes.io/node-name'

/**
 * The part of KubeVirt that runs on a node changes guests of that node alone, and sends none away. Contract: VMIU-001,
 * 002, 003.
 */
export function handlerIsOnItsNode({ request, object, old, config }: ReviewInput<Vmi>): Cause[] {
  const { user } = request
  const isHandler = user.name === kubeVirtUser('handler', config.installNamespace).name
  if (!isHandler || !old || !config.isGateOn('NodeRestriction')) return []
  const [node] = user.extra?.[NODE_NAME] ?? []
  if (node === undefined) {
    return [invalidValue('', 'the token of the handler is bound to no node: use one of its own pod')]
  }
  const causes: Cause[] = []
  const target = old.status?.migrationState?.targetNode ?? ''
  if (node !== (old.status?.nodeName ?? '') && (target === '' || node !== target)) {
    causes.push(invalidValue('', `the handler of the node "${node}" may not change a guest of another node`))
  } else if (target === '' && object.status?.migrationState?.targetNode) {
    causes.push(invalidValue('', 'a handler may not choose where a guest is migrated to'))
  }
  return causes
}
