import { REGISTRATIONS } from '../../../kinds/installation.ts'
import type { Condition } from '../../../kinds/meta.ts'
import { find, fine, wrong, type Check, type Doctor, type Finding } from '../check.ts'

interface ApiService {
  spec: { service?: { name: string; namespace: string } | null }
  status?: { conditions?: Condition[] }
}

/** Whether kube-apiserver reaches our API server. While it does not, namespaces cannot be deleted. */
export const apiServices: Check = {
  name: 'api-services',
  isForEmbedded: false,
  run: (doctor) => Promise.all(REGISTRATIONS.apiServices.map((name) => look(doctor, name))),
}

async function look(doctor: Doctor, name: string): Promise<Finding> {
  const found = await find<ApiService>(doctor, `/apis/apiregistration.k8s.io/v1/apiservices/${name}`)
  if (!found)
    return wrong(`APIService ${name} does not exist`, 'install the chart, or apply apiservice/generated')
  const { service } = found.spec
  if (service?.namespace !== doctor.namespace) {
    const where = service ? `the namespace ${service.namespace}` : 'kube-apiserver itself'
    return wrong(
      `APIService ${name} leads to ${where}`,
      'look there with --install-namespace, or remove what another installation has left behind',
    )
  }
  const available = found.status?.conditions?.find(({ type }) => type === 'Available')
  if (available?.status === 'True') return fine(`APIService ${name} is available`)
  return wrong(
    `APIService ${name} is not available: ${available?.reason ?? 'Unknown'}: ${available?.message ?? 'nobody has looked yet'}`,
    adviceFor(available?.reason, service.namespace),
  )
}

/** Source: the reasons that kube-aggregator gives. */
function adviceFor(reason: string | undefined, namespace: string): string {
  switch (reason) {
    case 'ServiceNotFound':
    case 'ServicePortError':
      return `install the chart again: the Service virt-api is missing in ${namespace}, or has other ports`
    case 'EndpointsNotFound':
    case 'MissingEndpoints':
    case 'EndpointsInaccessible':
      return `see why no API server is ready: kubectl -n ${namespace} describe pods -l kubevirt.io=virt-api`
    default:
      return (
        'let the control plane reach the pods of the API server: firewalls of managed clusters allow port 10250; where ' +
        'they cannot be reached at all, set apiServer.hostNetwork'
      )
  }
}
