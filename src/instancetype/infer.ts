/** Infers what a VM refers to from labels on its volumes. Contract: MUT-INF-001 … 014. */
import type { DataVolumeSources } from '../kinds/cdi.ts'
import type { Matcher } from '../kinds/instancetype.ts'
import type { Kind } from '../kinds/kind.ts'
import type { KubeObject } from '../kinds/meta.ts'
import { DATA_SOURCES, DATA_VOLUMES, PVCS, VOLUME_SNAPSHOTS } from '../kinds/table.ts'
import type { Getter, Referrer } from './find.ts'
import { InstancetypeError, type Referable } from './references.ts'

/** Where an object that is to carry a label stands. */
interface Place {
  namespace: string
  name: string
}

/** Nothing was inferred, and a VM may say that this is no reason to refuse it. */
class NothingToInfer extends InstancetypeError {}

/**
 * The matcher of the VM with its name filled in from the volume it says; as it stands where it says none; `undefined`
 * where nothing is to be found and the VM does not mind.
 *
 * Throws `InstancetypeError`.
 */
export async function inferMatcher(
  reader: Getter,
  vm: Referrer,
  what: Referable,
): Promise<Matcher | undefined> {
  const matcher = vm.spec[what.field]
  if (!matcher?.inferFromVolume) return matcher
  try {
    return await new Search(reader, vm, what).inVolume(matcher.inferFromVolume)
  } catch (error) {
    if (error instanceof NothingToInfer && matcher.inferFromVolumeFailurePolicy === 'Ignore') return undefined
    throw error
  }
}

/** One search through volumes, claims and sources for the label that names a default. */
class Search {
  readonly #reader: Getter
  readonly #vm: Referrer
  readonly #what: Referable

  constructor(reader: Getter, vm: Referrer, what: Referable) {
    this.#reader = reader
    this.#vm = vm
    this.#what = what
  }

  async inVolume(volumeName: string): Promise<Matcher> {
    const volume = this.#vm.spec.template.spec.volumes?.find(({ name }) => name === volumeName)
    if (!volume) throw new InstancetypeError(this.#say(`there is no volume "${volumeName}"`))
    const { persistentVolumeClaim, dataVolume } = volume
    const { namespace } = this.#vm.metadata
    if (persistentVolumeClaim)
      return this.#inObject(PVCS, { namespace, name: persistentVolumeClaim.claimName })
    if (dataVolume) return this.#inDataVolume(dataVolume.name)
    throw this.#nothing(`volume "${volumeName}" is neither a claim nor a DataVolume`)
  }

  async #inDataVolume(name: string): Promise<Matcher> {
    const { namespace } = this.#vm.metadata
    const template = this.#vm.spec.dataVolumeTemplates?.find(({ metadata }) => metadata?.name === name)
    if (template) return this.#inSources(template.spec)
    const dataVolume = await this.#reader.get(DATA_VOLUMES, namespace, name)
    // CDI may have tidied up a DataVolume that is filled: its claim stays.
    if (!dataVolume) return this.#inObject(PVCS, { namespace, name })
    return this.#labelsOf(dataVolume) ?? this.#inSources(dataVolume.spec ?? {})
  }

  async #inSources({ source, sourceRef }: DataVolumeSources): Promise<Matcher> {
    if (source?.pvc) return this.#inObject(PVCS, source.pvc)
    if (source?.snapshot) return this.#inObject(VOLUME_SNAPSHOTS, source.snapshot)
    if (!sourceRef) throw this.#nothing('the DataVolume has a source that bears no labels')
    if (sourceRef.kind !== DATA_SOURCES.kind) {
      throw this.#nothing(`the DataVolume refers to a "${sourceRef.kind}", which is not looked into`)
    }
    return this.#inDataSource({
      namespace: sourceRef.namespace ?? this.#vm.metadata.namespace,
      name: sourceRef.name,
    })
  }

  async #inDataSource(place: Place): Promise<Matcher> {
    const found = await this.#get(DATA_SOURCES, place)
    const labels = this.#labelsOf(found)
    if (labels) return labels
    const { pvc, snapshot } = found.spec?.source ?? {}
    if (pvc) return this.#inObject(PVCS, pvc)
    if (snapshot) return this.#inObject(VOLUME_SNAPSHOTS, snapshot)
    throw this.#nothing(`the DataSource "${place.name}" has no label and no source that bears any`)
  }

  async #inObject(kind: Kind, place: Place): Promise<Matcher> {
    const labels = this.#labelsOf(await this.#get(kind, place))
    if (labels) return labels
    throw this.#nothing(`the ${kind.kind} "${place.name}" has no label ${this.#what.nameLabel}`)
  }

  async #get<T extends KubeObject>(kind: Kind<T>, { namespace, name }: Place): Promise<T> {
    const object = await this.#reader.get(kind, namespace, name)
    if (object) return object
    throw new InstancetypeError(this.#say(`there is no ${kind.kind} "${name}" in namespace "${namespace}"`))
  }

  #labelsOf({ metadata: { labels = {} } }: KubeObject): Matcher | undefined {
    const { nameLabel, kindLabel } = this.#what
    const [name, kind] = [labels[nameLabel], labels[kindLabel]]
    return name === undefined ? undefined : { name, ...(kind && { kind }) }
  }

  #nothing(why: string): NothingToInfer {
    return new NothingToInfer(this.#say(why))
  }

  #say(why: string): string {
    const { noun, field } = this.#what
    return `the ${noun} cannot be inferred: ${why}; name it in spec.${field}.name, or choose another volume`
  }
}
