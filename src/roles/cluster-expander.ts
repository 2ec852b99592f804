import { specDefaults } from '../admission/defaults.ts'
import { configOf, kubeVirtInUse } from '../admission/kubevirt-config.ts'
import type { ShapeChecker } from '../embedded/api.ts'
import { openSchemas } from '../embedded/schemas/open.ts'
import { buildExpander, type Expander, type Getter } from '../instancetype/expand.ts'
import type { KubeVirt } from '../kinds/kubevirt.ts'
import type { Shapes } from '../subresources/subresource.ts'
import { ownArchitecture } from './architecture.ts'

/**
 * Expansion of VMs that a Kubernetes API holds. What their spec leaves open comes from the KubeVirt object of
 * `namespace`, the architecture included: the nodes may have another one than this process.
 */
export function buildClusterExpander(
  reader: Getter,
  namespace: string,
  kubeVirts: () => Promise<readonly KubeVirt[]>,
): Expander {
  const installation = { namespace, architecture: ownArchitecture() }
  return buildExpander({
    reader,
    defaults: async () => specDefaults(configOf(kubeVirtInUse(await kubeVirts(), namespace), installation)),
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
