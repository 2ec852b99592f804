import { find, fine, wrong, type Check } from '../check.ts'

/** Whether our API answers by the way that all clients take, and says who it is. */
export const apiServer: Check = {
  name: 'api-server',
  isForEmbedded: true,
  async run(doctor) {
    const version = await find<{ gitVersion: string }>(doctor, '/apis/subresources.kubevirt.io/v1/version')
    return [
      version
        ? fine(`the subresource API answers: ${version.gitVersion}`)
        : wrong('the subresource API is not served', 'register it: see the APIServices above'),
    ]
  },
}
