import { apiVersionOf, type Kind } from '../../../kinds/kind.ts'
import { KINDS } from '../../../kinds/table.ts'
import { find, fine, wrong, type Check, type Doctor } from '../check.ts'

/** Whether every kind is served that Kubernetes does not have itself. Discovery leaves out what is not established yet. */
export const kinds: Check = {
  name: 'kinds',
  isForEmbedded: true,
  async run(doctor) {
    const wanted = KINDS.filter(({ builtIn }) => !builtIn)
    const groups = [...new Set(wanted.map(apiVersionOf))]
    const served = new Map(
      await Promise.all(groups.map(async (group) => [group, await resourcesOf(doctor, group)] as const)),
    )
    const missing = wanted.filter((kind) => !served.get(apiVersionOf(kind))?.has(kind.plural))
    if (missing.length === 0) return [fine(`all ${wanted.length} kinds are served`)]
    return missing.map((kind) =>
      wrong(
        `${nameOf(kind)} is not served`,
        'install the CustomResourceDefinitions, which Helm does not upgrade: kubectl apply --server-side ' +
          '--force-conflicts -f charts/virtgate/crds',
      ),
    )
  },
}

function nameOf({ kind, ...version }: Kind): string {
  return `${kind} (${apiVersionOf(version)})`
}

async function resourcesOf(doctor: Doctor, groupVersion: string): Promise<Set<string>> {
  const found = await find<{ resources: { name: string }[] }>(doctor, `/apis/${groupVersion}`)
  return new Set(found?.resources.map(({ name }) => name))
}
