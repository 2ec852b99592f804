import { StatusError } from '../../../lib/errors.ts'
import { find, fine, wrong, type Check, type Doctor, type Finding } from '../check.ts'

const GROUP = '/apis/admissionregistration.k8s.io/v1'
const CONFIGURATIONS = [
  ['mutatingwebhookconfigurations', 'virt-api-mutator'],
  ['validatingwebhookconfigurations', 'virt-api-validator'],
] as const

interface Configuration {
  webhooks?: { name: string; clientConfig: { caBundle?: string } }[]
}

/** Whether VMs are completed and judged when they are created; nothing is stored. */
export const webhooks: Check = {
  name: 'webhooks',
  isForEmbedded: true,
  async run(doctor) {
    const registered = doctor.isEmbedded
      ? []
      : await Promise.all(CONFIGURATIONS.map((one) => look(doctor, one)))
    const missing = registered.flat().filter(({ verdict }) => verdict === 'error')
    return missing.length > 0 ? missing : Promise.all([completes(doctor), refuses(doctor)])
  },
}

async function look(doctor: Doctor, [resource, name]: readonly [string, string]): Promise<Finding[]> {
  const found = await find<Configuration>(doctor, `${GROUP}/${resource}/${name}`)
  if (!found)
    return [
      wrong(
        `${name} is not registered: nobody judges VMs`,
        'install the chart, or apply apiservice/generated',
      ),
    ]
  return (found.webhooks ?? [])
    .filter(({ clientConfig }) => !clientConfig.caBundle)
    .slice(0, 1)
    .map((webhook) =>
      wrong(
        `${name}: ${webhook.name} has no caBundle: kube-apiserver believes no certificate`,
        'let the controller run, which fills it in, or whoever else makes your certificates',
      ),
    )
}

interface Vm {
  spec: { template: { spec: { domain: { machine?: { type?: string } } } } }
}

/** Tries to create a VM without storing it. */
function tryVm({ client, signal }: Doctor, spec: object): Promise<Vm> {
  const body = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { generateName: 'virtgate-doctor-' },
    spec: { template: { spec: { domain: { devices: {}, memory: { guest: '64Mi' } } } }, ...spec },
  }
  const path = '/apis/kubevirt.io/v1/namespaces/default/virtualmachines'
  return client.call<Vm>({ method: 'POST', path, query: { dryRun: 'All' }, body, signal })
}

async function completes(doctor: Doctor): Promise<Finding> {
  try {
    const vm = await tryVm(doctor, { runStrategy: 'Halted' })
    if (vm.spec.template.spec.domain.machine?.type) return fine('a VM that is created is completed')
    return wrong(
      'a VM that is created is not completed',
      'register the mutating webhooks: install the chart again',
    )
  } catch (error) {
    return explain(error)
  }
}

async function refuses(doctor: Doctor): Promise<Finding> {
  try {
    await tryVm(doctor, { runStrategy: 'Halted', running: true })
    return wrong(
      'a VM that makes no sense is not refused',
      'register the validating webhooks: install the chart again',
    )
  } catch (error) {
    const isJudged = error instanceof StatusError && error.code === 422
    return isJudged ? fine('a VM that makes no sense is refused') : explain(error)
  }
}

/** What went wrong but for rights, which are told of for every check. */
function explain(error: unknown): Finding {
  if (!(error instanceof StatusError) || error.code === 403) throw error
  return wrong(
    `a VM cannot be created: ${error.message}`,
    'see that the control plane reaches the webhooks (apiServer.webhookPort) and that their certificate is good',
  )
}
