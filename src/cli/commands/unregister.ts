import type { Command } from 'commander'
import type { KubeClient } from '../../kube/client.ts'
import { REGISTRATIONS } from '../../kinds/installation.ts'
import type { KubeVirt, Vmi } from '../../kinds/kubevirt.ts'
import { unlessNotFound } from '../../lib/errors.ts'
import { connect, type CommandContext, type ConnectOptions } from '../context.ts'

interface Options extends ConnectOptions {
  installNamespace: string
  force?: boolean
}

const HELP = `
To be run before an installation is removed: while kube-apiserver is told to ask us and nobody answers, no namespace in the
cluster can be deleted. Refuses while guests exist, if the KubeVirt object's uninstallStrategy is BlockUninstallIfWorkloadsExist.
What belongs to an installation in another namespace is left alone.
`

/** Adds `unregister`: makes kube-apiserver forget us. */
export function addUnregister(program: Command, context: CommandContext): void {
  program
    .command('unregister')
    .description('remove the APIServices and webhook configurations of an installation')
    .option('--install-namespace <name>', 'where the installation is', 'kubevirt')
    .option('--force', 'even while guests exist; they go on running as long as their workers do')
    .addHelpText('after', HELP)
    .action(async (_options: unknown, self: Command) => {
      const options = self.optsWithGlobals<Options>()
      const { client } = await connect(options, context)
      await using _closed = client
      if (!options.force) await refuseWithGuests(client, context.signal)
      for (const place of PLACES) {
        const said = await remove(client, place, options.installNamespace, context.signal)
        context.stdout.write(`${said}\n`)
      }
    })
}

interface Registration {
  spec?: { service?: Service | null }
  webhooks?: { clientConfig: { service?: Service } }[]
}

interface Service {
  namespace: string
}

interface Place {
  path: string
  servicesOf(object: Registration): (Service | null | undefined)[]
}

const ADMISSION = '/apis/admissionregistration.k8s.io/v1'
const webhookPlace =
  (resource: string) =>
  (name: string): Place => ({
    path: `${ADMISSION}/${resource}/${name}`,
    servicesOf: ({ webhooks = [] }) => webhooks.map(({ clientConfig }) => clientConfig.service),
  })

/** Webhooks first: they could keep the rest from being deleted. */
const PLACES: readonly Place[] = [
  ...REGISTRATIONS.validating.map(webhookPlace('validatingwebhookconfigurations')),
  ...REGISTRATIONS.mutating.map(webhookPlace('mutatingwebhookconfigurations')),
  ...REGISTRATIONS.apiServices.map((name): Place => ({
    path: `/apis/apiregistration.k8s.io/v1/apiservices/${name}`,
    servicesOf: ({ spec }) => [spec?.service],
  })),
]

/** What was done, for people. */
async function remove(
  client: KubeClient,
  place: Place,
  namespace: string,
  signal: AbortSignal,
): Promise<string> {
  const { path } = place
  const what = path.split('/').slice(-2).join('/')
  const found = await unlessNotFound(client.call<Registration>({ method: 'GET', path, signal }))
  if (!found) return `${what} is not there`
  const others = place.servicesOf(found).find((service) => service?.namespace !== namespace)
  if (others !== undefined)
    return `${what} is left alone: it leads to the namespace ${others?.namespace ?? '(none)'}`
  await unlessNotFound(client.call({ method: 'DELETE', path, signal }))
  return `${what} is removed`
}

interface List<T> {
  items: T[]
}

async function refuseWithGuests(client: KubeClient, signal: AbortSignal): Promise<void> {
  const get = <T>(path: string, query = {}) =>
    unlessNotFound(client.call<T>({ method: 'GET', path, query, signal }))
  const kubevirts = await get<List<KubeVirt>>('/apis/kubevirt.io/v1/kubevirts')
  const blocks = kubevirts?.items.some(
    ({ spec }) => spec?.uninstallStrategy === 'BlockUninstallIfWorkloadsExist',
  )
  if (!blocks) return
  const guests = await get<List<Vmi>>('/apis/kubevirt.io/v1/virtualmachineinstances', { limit: 1 })
  const [guest] = guests?.items ?? []
  if (!guest) return
  const { namespace, name } = guest.metadata
  throw new Error(
    `there are guests, such as ${namespace}/${name}: stop them first, or say --force, or set the KubeVirt object's ` +
      'uninstallStrategy to RemoveWorkloads',
  )
}
