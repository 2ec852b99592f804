import { fine, warning, type Check } from '../check.ts'

/** The oldest that is tried: two before the newest. */
const OLDEST_MINOR = 34

/** Whether the version of Kubernetes is one that is supported. */
export const kubernetesVersion: Check = {
  name: 'kubernetes-version',
  isForEmbedded: true,
  async run({ client, signal }) {
    const version = await client.call<{ major: string; minor: string; gitVersion: string }>({
      method: 'GET',
      path: '/version',
      signal,
    })
    // Some write `36+`.
    const [major, minor] = [version.major, version.minor].map((text) => Number.parseInt(text, 10))
    const isOld = major === 1 && minor !== undefined && minor < OLDEST_MINOR
    return [
      isOld
        ? warning(
            `Kubernetes is ${version.gitVersion}; supported are 1.${OLDEST_MINOR} and newer`,
            'upgrade Kubernetes: nobody tries virtgate with this version',
          )
        : fine(`Kubernetes is ${version.gitVersion}`),
    ]
  },
}
