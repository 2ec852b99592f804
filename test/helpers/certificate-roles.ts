import { buildRbac } from '../../apiservice/rbac.ts'
import { DEFAULTS } from '../../apiservice/manifest.ts'
import type { KubeClient } from '../../src/kube/client.ts'

/** Gives our accounts what a chart gives them besides what every installation begins with: Secrets by their names. */
export async function grantCertificates(client: KubeClient): Promise<void> {
  for (const manifest of buildRbac(DEFAULTS)) {
    const { namespace, name } = manifest.metadata
    if (!name?.endsWith('-certificates')) continue
    const plural = manifest.kind === 'Role' ? 'roles' : 'rolebindings'
    const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/${plural}`
    await client.call({ method: 'POST', path, body: manifest })
  }
}
