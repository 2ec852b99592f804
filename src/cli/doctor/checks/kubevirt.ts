import type { KubeVirt } from '../../../kinds/kubevirt.ts'
import { fine, list, warning, type Check } from '../check.ts'

/** Whether there is one KubeVirt object to read the settings from, as clients expect. */
export const kubevirt: Check = {
  name: 'kubevirt',
  isForEmbedded: true,
  async run(doctor) {
    const all = await list<KubeVirt>(doctor, '/apis/kubevirt.io/v1/kubevirts')
    const [only, ...others] = all
    if (!only) {
      return [
        warning(
          'there is no KubeVirt object: built-in settings apply',
          'create one, as kubevirt.create does',
        ),
      ]
    }
    if (others.length > 0) {
      const names = all.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
      return [warning(`there are several KubeVirt objects: ${names.join(', ')}`, 'delete all but one')]
    }
    const { namespace, name } = only.metadata
    const phase = only.status?.phase
    if (phase === 'Deployed') return [fine(`the KubeVirt object ${namespace}/${name} is deployed`)]
    return [
      warning(
        `the KubeVirt object ${namespace}/${name} is ${phase ?? 'not looked at yet'}`,
        'see whether a controller leads, which keeps its status',
      ),
    ]
  },
}
