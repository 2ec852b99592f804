/** The files in place of a cluster: what rules look up there is looked up among the objects. */
import type { AdmissionConfig } from '../../admission/config.ts'
import { configOf, configurationFault } from '../../admission/kubevirt-config.ts'
import { apiVersionOf, type Kind } from '../../kinds/kind.ts'
import type { KubeVirt } from '../../kinds/kubevirt.ts'
import type { KubeObject } from '../../kinds/meta.ts'
import { KUBEVIRTS } from '../../kinds/table.ts'
import { copyJson, isRecord, type JsonRecord } from '../../lib/json.ts'
import { matchesLabels, parseLabelSelector } from '../../lib/selectors.ts'
import type { ObjectReader } from '../../store/store.ts'
import type { Found } from './read.ts'

/** The objects, in their namespaces. */
export type Cluster = readonly Found[]

const INSTALL_NAMESPACE = 'kubevirt'

/** The cluster's configuration: that of the one KubeVirt object. Throws `Error` where there are several, or it is no good. */
export function readSettings(objects: Cluster, architecture: string): AdmissionConfig {
  const [found, second] = objects.filter(({ object }) => isOf(object, KUBEVIRTS))
  if (second) {
    throw new Error(`${second.file} holds a second KubeVirt object: a cluster has one; leave out the others`)
  }
  if (!found) return configOf(undefined, { namespace: INSTALL_NAMESPACE, architecture })
  // Whether its members are what they should be is looked at one by one.
  const { metadata, spec, status } = found.object as unknown as KubeVirt
  const fault = configurationFault(isRecord(spec) ? spec.configuration : undefined)
  if (fault !== undefined) throw new Error(`${found.file}: KubeVirt: spec.configuration: ${fault}`)
  const stated = status?.defaultArchitecture ?? architecture
  return configOf(
    { ...found.object, metadata, spec, status: { ...status, defaultArchitecture: stated } } as KubeVirt,
    { namespace: metadata?.namespace ?? INSTALL_NAMESPACE, architecture },
  )
}

/** Reads all objects but `self`. Tells `onMissing` what is asked for and not there. */
export function buildReader(objects: Cluster, self: Found, onMissing: (what: string) => void): ObjectReader {
  const select = <T extends KubeObject>(kind: Kind<T>, namespace: string | undefined): T[] =>
    objects
      .filter((one) => one !== self && isOf(one.object, kind) && isIn(one.object, namespace))
      // What says that it is of a kind has its type, or its own review says what is wrong with it.
      .map(({ object }) => object as unknown as T)
  return {
    async get(kind, namespace, name) {
      const there = select(kind, kind.namespaced ? namespace : undefined)
      const object = there.find(({ metadata }) => metadata.name === name)
      if (!object) onMissing(`${kind.kind} ${kind.namespaced ? `${namespace}/` : ''}${name}`)
      return object && copyJson(object)
    },
    async list(kind, { namespace, labelSelector } = {}) {
      const demands = labelSelector ? parseLabelSelector(labelSelector) : []
      const items = select(kind, namespace).filter(({ metadata }) => matchesLabels(demands, metadata.labels))
      return { items: copyJson(items), resourceVersion: '' }
    },
  }
}

/** Gives objects of kinds with namespaces that name none this one, in place. */
export function setNamespaces(objects: Cluster, kinds: readonly Kind[], namespace: string): void {
  for (const { object } of objects) {
    const isNamespaced = kinds.find((kind) => isOf(object, kind))?.namespaced !== false
    object.metadata = isRecord(object.metadata) ? object.metadata : {}
    const { metadata } = object
    if (isNamespaced && isRecord(metadata)) metadata.namespace ??= namespace
  }
}

/** Whether an object is of a kind, in any version of it. */
function isOf({ apiVersion, kind }: JsonRecord, asked: Kind): boolean {
  const [group = ''] = asked.group === '' ? [''] : String(apiVersion).split('/')
  return (
    kind === asked.kind && (asked.group === '' ? apiVersion === apiVersionOf(asked) : group === asked.group)
  )
}

function isIn({ metadata }: JsonRecord, namespace: string | undefined): boolean {
  return !namespace || (isRecord(metadata) && metadata.namespace === namespace)
}
