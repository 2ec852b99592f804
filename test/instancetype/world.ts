import type { Matcher } from '../../src/kinds/instancetype.ts'
import { apiVersionOf, type Kind } from '../../src/kinds/kind.ts'
import type { VmSpec, VmStatus } from '../../src/kinds/kubevirt.ts'
import type { KubeObject } from '../../src/kinds/meta.ts'
import type { Getter, Referrer } from '../../src/instancetype/find.ts'

/** An object of that kind, with what is given of it. */
export function objectOf(kind: Kind, name: string, members: object = {}, namespace = 'ns'): KubeObject {
  const { metadata, ...others } = { metadata: {}, ...members }
  return {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    metadata: {
      name,
      ...(kind.namespaced && { namespace }),
      uid: `uid-of-${name}`,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...metadata,
    },
    ...others,
  }
}

/** Reads from a list of objects. */
export function readerOf(...objects: KubeObject[]): Getter {
  return {
    async get<T extends KubeObject>(kind: Kind<T>, namespace: string, name: string) {
      const found = objects.find(
        (object) =>
          object.kind === kind.kind &&
          object.metadata.name === name &&
          (object.metadata.namespace ?? '') === namespace,
      )
      // What bears a kind's name is of that kind.
      return found as T | undefined
    },
  }
}

/** A VM in namespace `ns` that refers to what is given. */
export function vmOf(
  spec: { instancetype?: Matcher; preference?: Matcher } & Partial<VmSpec>,
  status?: VmStatus,
): Referrer {
  return {
    metadata: { namespace: 'ns' },
    spec: { runStrategy: 'Halted', template: { spec: { domain: { devices: {} } } }, ...spec },
    ...(status && { status }),
  }
}
