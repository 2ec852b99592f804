import { readConfig, defaultConfig } from '../admission/config.ts'
import { specDefaults } from '../admission/defaults.ts'
import type { ShapeChecker } from '../embedded/api.ts'
import { openSchemas } from '../embedded/schemas/open.ts'
import { buildExpander, type Expander, type Getter } from '../instancetype/expand.ts'
import type { KubeVirtConfiguration } from '../kinds/configuration.ts'
import type { Shapes } from '../subresources/subresource.ts'
import { ownArchitecture } from './architecture.ts'

/** Expansion of VMs that a Kubernetes API holds. */
export function buildClusterExpander(
  reader: Getter,
  configuration: () => Promise<KubeVirtConfiguration>,
): Expander {
  const base = defaultConfig(ownArchitecture())
  return buildExpander({
    reader,
    defaults: async () => specDefaults(readConfig(base, await configuration())),
  })
}

/** The schemas of all kinds, read when they are first asked for: few clients ever do. */
export function lateShapes(): Shapes {
  let opened: ShapeChecker | undefined
  const open = (): ShapeChecker => (opened ??= openSchemas())
  return {
    // A body that is no object of Kubernetes is what is looked for.
    check: (kind, object) => open().check(kind, object as Parameters<ShapeChecker['check']>[1]),
    prune: (kind, object) => open().prune(kind, object),
  }
}
