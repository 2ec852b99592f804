import { HANDLER_ACCOUNT } from '../../auth/bootstrap/accounts.ts'
import { serviceAccountUserName } from '../../kinds/service-account.ts'
import type { TokenReader } from '../../auth/service-account-tokens.ts'
import { ENROL_AUDIENCE } from '../../kinds/enrolment.ts'
import { StatusError, unauthorized } from '../../lib/errors.ts'

/** What kube-apiserver puts into tokens that are bound to a pod, from 1.30 on. Source: KEP-4193. */
const NODE_NAME = 'authentication.kubernetes.io/node-name'

/**
 * Makes sure that a service account token is that of a worker's pod on `node`: the workers' own account, for enrolling
 * alone, and of the node that kube-apiserver says the pod is on. Any pod can have a token for any audience, so the
 * account counts; and every node has a token of that account, so the node counts. Throws 401, 403 and 503.
 */
export async function checkAccountToken(
  tokens: TokenReader,
  namespace: string,
  token: string,
  node: string,
): Promise<void> {
  const verdict = await tokens.read(token, [ENROL_AUDIENCE])
  if (!verdict) throw unauthorized(`the token is no service account token for the audience ${ENROL_AUDIENCE}`)
  const { name, extra = {} } = verdict.user
  const wanted = serviceAccountUserName({ namespace, name: HANDLER_ACCOUNT.name })
  if (name !== wanted) throw refused(`the token is of ${name}: workers enrol as ${wanted}`)
  const nodes = extra[NODE_NAME] ?? []
  if (nodes.length === 0) {
    throw refused(
      'the token does not say which node its pod is on: that takes Kubernetes 1.30 or newer and a token that is bound ' +
        'to a pod; use a join token instead',
    )
  }
  if (nodes.length > 1 || nodes[0] !== node) {
    throw refused(`the token is of the node ${nodes.join(', ')}, not of ${node}`)
  }
}

function refused(message: string): StatusError {
  return new StatusError(403, 'Forbidden', message)
}
