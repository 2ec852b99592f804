import { find, fine, list, skipped, warning, type Check } from '../check.ts'

interface Deployment {
  spec: { template: { spec: { containers: { args?: string[] }[] } } }
}

interface NetworkPolicy {
  spec: {
    podSelector: { matchLabels?: Record<string, string> }
    ingress?: { from?: object[]; ports?: { port?: number | string }[] }[]
  }
}

/**
 * Whether anybody may ask the webhooks. kube-apiserver does not say who it is unless it is told to, so they answer whoever reaches
 * them; a review that is made up keeps room in a quota for two minutes (security.md, D1 and D5).
 */
export const webhookCallers: Check = {
  name: 'webhook-callers',
  isForEmbedded: false,
  async run(doctor) {
    const { namespace } = doctor
    const deployment = await find<Deployment>(
      doctor,
      `/apis/apps/v1/namespaces/${namespace}/deployments/virt-api`,
    )
    if (!deployment) return [skipped(`there is no Deployment virt-api in ${namespace}: it is run elsewhere`)]
    const args = deployment.spec.template.spec.containers.flatMap(({ args: given = [] }) => given)
    if (args.some((arg) => arg.startsWith('--webhook-client-ca')))
      return [fine('the webhooks answer holders of a client certificate alone')]
    const path = `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`
    if (areClosed(await list<NetworkPolicy>(doctor, path)))
      return [fine('network policies say who reaches the webhooks')]
    return [
      warning(
        'whoever reaches the webhooks is answered: reviews that are made up keep room in quotas for two minutes each',
        "set networkPolicy.controlPlane to the control plane's addresses, or apiServer.webhookClientCa",
      ),
    ]
  },
}

/** Whether some policy is about the API servers, and each names those whom it lets in. */
function areClosed(policies: readonly NetworkPolicy[]): boolean {
  const ours = policies.filter(({ spec }) => spec.podSelector.matchLabels?.['kubevirt.io'] === 'virt-api')
  const rules = ours.flatMap(({ spec: { ingress = [] } }) => ingress)
  return ours.length > 0 && rules.every(({ from = [] }) => from.length > 0)
}
