import type { Lease, Node } from '../../../kinds/core.ts'
import { WORKER_ADDRESS, WORKER_LABEL, WORKER_SELECTOR } from '../../../kinds/worker-lease.ts'
import { fine, list, warning, wrong, type Check, type Doctor, type Finding } from '../check.ts'
import { ageOfLease } from '../leases.ts'

/** Whether there is a worker for guests, each has been heard of lately, and all are of one version. */
export const workers: Check = {
  name: 'workers',
  isForEmbedded: true,
  async run(doctor) {
    const selector = `labelSelector=${encodeURIComponent(WORKER_SELECTOR)}`
    const nodes = await list<Node>(doctor, `/api/v1/nodes?${selector}`)
    const known = doctor.isEmbedded ? nodes.map(lookAtNode) : await lookAtLeases(doctor, selector)
    if (known.length === 0) {
      return [
        wrong(
          'there are no workers: no guest can start',
          `let workers run: kubectl -n ${doctor.namespace} get pods -l kubevirt.io=virt-handler -o wide`,
        ),
      ]
    }
    return [...known, ...compareVersions(nodes)]
  },
}

async function lookAtLeases(doctor: Doctor, selector: string): Promise<Finding[]> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${doctor.namespace}/leases`
  return (await list<Lease>(doctor, `${path}?${selector}`)).map((lease) => {
    const name = lease.spec?.holderIdentity ?? lease.metadata.name
    const address = lease.metadata.annotations?.[WORKER_ADDRESS]
    const { seconds, isOver } = ageOfLease(lease, doctor.now())
    if (!isOver) return fine(`the worker of ${name} answers at ${address}`)
    return wrong(
      `the worker of ${name} (${address}) was last heard of ${seconds} s ago`,
      `see whether its pod runs and controllers reach it; if the node is gone, delete the Lease ${lease.metadata.name}`,
    )
  })
}

function lookAtNode({ metadata: { name }, status }: Node): Finding {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')
  if (ready?.status === 'True') return fine(`the worker of ${name} answers: ${ready.message}`)
  return wrong(`the worker of ${name} does not answer`, 'see the log of the server')
}

/** Guests move between workers of one version, and of two while they are replaced. */
function compareVersions(nodes: readonly Node[]): Finding[] {
  const versions = new Map<string, string[]>()
  for (const { metadata } of nodes) {
    const version = metadata.annotations?.['virtgate.io/version']
    if (metadata.labels?.[WORKER_LABEL] && version !== undefined)
      versions.set(version, [...(versions.get(version) ?? []), metadata.name])
  }
  if (versions.size < 2) return []
  const shown = [...versions].map(([version, names]) => `${version} on ${names.join(', ')}`)
  return [
    warning(
      `workers are of different versions: ${shown.join('; ')}`,
      'move the guests away and delete the pods of the older ones: they are replaced by none before',
    ),
  ]
}
