import { stringify } from 'yaml'
import { buildApiServices } from './api-services.ts'
import type { InstallOptions, Manifest } from './manifest.ts'
import { buildNodeLeaseRbac, buildRbac } from './rbac.ts'
import { buildServices } from './services.ts'
import { buildWebhookConfigurations } from './webhooks.ts'

/** For controllers that keep Node objects (`--own-nodes`) alone. */
export const OWN_NODES = 'own-nodes.yaml'

/** What is generated: the name of the file → its objects. To be applied in this order, and removed in the other. */
export function buildFiles(options: InstallOptions): Map<string, Manifest[]> {
  return new Map<string, Manifest[]>([
    ['rbac.yaml', buildRbac(options)],
    [OWN_NODES, buildNodeLeaseRbac(options)],
    ['services.yaml', buildServices(options)],
    ['api-services.yaml', buildApiServices(options)],
    ['webhooks.yaml', buildWebhookConfigurations(options)],
  ])
}

/** Objects as one YAML text. */
export function formatYaml(manifests: readonly Manifest[]): string {
  const documents = manifests.map((manifest) =>
    stringify(manifest, { lineWidth: 0, aliasDuplicateObjects: false, singleQuote: true }),
  )
  return `# Written by npm run generate.\n${documents.join('---\n')}`
}
