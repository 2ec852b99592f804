/** Finds what a VM refers to. Contract: admission-vm.md, 2.1; subresources.md, 3.12. */
import type {
  Instancetype,
  InstancetypeSpec,
  Matcher,
  Preference,
  PreferenceSpec,
} from '../kinds/instancetype.ts'
import type { Vm } from '../kinds/kubevirt.ts'
import { CONTROLLER_REVISIONS } from '../kinds/table.ts'
import type { ObjectReader } from '../store/store.ts'
import { INSTANCETYPE, InstancetypeError, kindOfMatcher, PREFERENCE, type Referable } from './references.ts'
import { OBJECT_NAME_LABEL, specInRevision } from './revision.ts'

/** A VM as far as its references are looked at: one that was never stored has no more. */
export type Referrer = Pick<Vm, 'spec' | 'status'> & { metadata: { namespace: string } }

/** Reads single objects. */
export type Getter = Pick<ObjectReader, 'get'>

/** What a VM's guest is made with besides its template. */
export interface References {
  instancetype?: InstancetypeSpec | undefined
  preference?: PreferenceSpec | undefined
}

/** Both that a VM refers to. Throws `InstancetypeError` where one cannot be found. */
export async function findReferences(reader: Getter, vm: Referrer): Promise<References> {
  const [instancetype, preference] = await Promise.all([
    findSpec(reader, vm, INSTANCETYPE),
    findSpec(reader, vm, PREFERENCE),
  ])
  return { instancetype, preference }
}

/**
 * The spec of the instance type or the preference that a VM refers to: of the revision it names, else of the one its
 * status names, else of the object. `undefined` where it refers to none; throws `InstancetypeError` where there is
 * no such thing.
 */
export async function findSpec<T extends Instancetype | Preference>(
  reader: Getter,
  vm: Referrer,
  what: Referable<T>,
): Promise<T['spec'] | undefined> {
  const matcher = vm.spec[what.field]
  if (!matcher) return undefined
  if (matcher.revisionName) return readRevision(reader, vm, what, matcher.revisionName)
  const noted = vm.status?.[what.ref]?.controllerRevisionRef?.name
  const name = matcher.name || vm.status?.[what.ref]?.name
  const kept = noted
    ? await readNoted(reader, vm, what, { ...matcher, ...(name && { name }) }, noted)
    : undefined
  return kept ?? (await findObject(reader, vm.metadata.namespace, what, matcher)).spec
}

/** What the status names counts while it is for the object that the spec names. */
async function readNoted<T extends Instancetype | Preference>(
  reader: Getter,
  { metadata: { namespace } }: Referrer,
  what: Referable<T>,
  { name }: Matcher,
  noted: string,
): Promise<T['spec'] | undefined> {
  const revision = await reader.get(CONTROLLER_REVISIONS, namespace, noted)
  if (!revision) throw missing(what, `the ControllerRevision "${noted}"`, namespace)
  if (revision.metadata.labels?.[OBJECT_NAME_LABEL] !== name) return undefined
  return specInRevision(revision, what) ?? fail(notInRevision(what, noted))
}

async function readRevision<T extends Instancetype | Preference>(
  reader: Getter,
  { metadata: { namespace } }: Referrer,
  what: Referable<T>,
  name: string,
): Promise<T['spec']> {
  const revision = await reader.get(CONTROLLER_REVISIONS, namespace, name)
  if (!revision) throw missing(what, `the ControllerRevision "${name}"`, namespace)
  return specInRevision(revision, what) ?? fail(notInRevision(what, name))
}

/** The object that a matcher names. Throws `InstancetypeError` where there is none. */
export async function findObject<T extends Instancetype | Preference>(
  reader: Getter,
  namespace: string,
  what: Referable<T>,
  matcher: Matcher,
): Promise<T> {
  const kind = kindOfMatcher(what, matcher)
  if (!kind) {
    const known = `${what.namespaced.kind} or ${what.cluster.kind}`
    throw new InstancetypeError(`spec.${what.field}.kind is "${matcher.kind}": it must be ${known}`)
  }
  const place = kind.namespaced ? namespace : ''
  const object = matcher.name ? await reader.get(kind, place, matcher.name) : undefined
  return object ?? fail(missing(what, `the ${kind.kind} "${matcher.name ?? ''}"`, place))
}

function missing({ noun }: Referable, object: string, namespace: string): InstancetypeError {
  const place = namespace ? ` in namespace "${namespace}"` : ''
  return new InstancetypeError(`the ${noun} cannot be found: there is no such object as ${object}${place}`)
}

function notInRevision({ noun, field }: Referable, name: string): InstancetypeError {
  return new InstancetypeError(
    `the ControllerRevision "${name}" holds no ${noun}: name another in spec.${field}.revisionName`,
  )
}

function fail(error: Error): never {
  throw error
}
