/** What DataVolumes of VMs are filled with, and whether somebody may use it. Source: security.md, B7. */
import type { DataVolumeSources } from '../kinds/cdi.ts'
import type { ForeignUse, MayUse } from '../kinds/foreign-use.ts'
import type { VmSpec } from '../kinds/kubevirt.ts'
import { DATA_SOURCES } from '../kinds/table.ts'
import { badRequest, unlessNotFound } from '../lib/errors.ts'
import type { Getter } from './find.ts'

/** A DataVolume as a VM describes it. */
export type DataVolumeTemplate = NonNullable<VmSpec['dataVolumeTemplates']>[number]

/** Data that is cloned: a claim or a snapshot. */
type CloneSource = Pick<NonNullable<DataVolumeSources['source']>, 'pvc' | 'snapshot'>

interface Place {
  namespace: string
  name: string
}

/** A DataSource may name another one, and that the next: there is an end to it. */
const MOST_STEPS = 8

/**
 * Asks for the right to clone what a DataVolume in `home` is filled with, wherever that is, following DataSources. Returns
 * what is cloned where a DataSource says it; `undefined` where none does, or where one is missing. `field` is the path
 * of the DataVolume's spec. Throws what `mayUse` throws, and 400 where DataSources go round in a circle.
 */
export async function reviewClone(
  reader: Getter,
  home: string,
  { spec }: DataVolumeTemplate,
  field: string,
  mayUse: MayUse,
): Promise<CloneSource | undefined> {
  const { source, sourceRef, pvc, storage } = spec
  const review = ({ namespace, name }: Place, at: string) =>
    reviewPlace({ purpose: 'clone', namespace, name, field: at }, home, mayUse)
  const named: [Partial<Place> | undefined, string][] = [
    [source?.pvc, `${field}.source.pvc`],
    [source?.snapshot, `${field}.source.snapshot`],
    [pvc?.dataSourceRef, `${field}.pvc.dataSourceRef`],
    [storage?.dataSourceRef, `${field}.storage.dataSourceRef`],
  ]
  for (const [place, at] of named) if (place?.name) await review(inHome(place, home), at)
  if (!sourceRef?.name) return undefined
  return followSources(reader, inHome(sourceRef, home), (place) => review(place, `${field}.sourceRef`))
}

/** What one DataSource, or the last of several, is a name for. */
async function followSources(
  reader: Getter,
  first: Place,
  review: (place: Place) => Promise<void>,
): Promise<CloneSource | undefined> {
  let place = first
  for (let step = 0; step < MOST_STEPS; step++) {
    await review(place)
    const { pvc, snapshot, dataSource } =
      (await unlessNotFound(reader.get(DATA_SOURCES, place.namespace, place.name)))?.spec?.source ?? {}
    const data = pvc ?? snapshot
    if (data) {
      const found = inHome(data, place.namespace)
      await review(found)
      return pvc ? { pvc: found } : { snapshot: found }
    }
    if (!dataSource) return undefined
    place = inHome(dataSource, place.namespace)
  }
  throw badRequest(
    `the DataSource "${first.name}" leads to more than ${MOST_STEPS} others: name the last one`,
  )
}

async function reviewPlace(use: ForeignUse, home: string, mayUse: MayUse): Promise<void> {
  if (use.namespace !== home) await mayUse(use)
}

function inHome({ namespace, name = '' }: Partial<Place>, home: string): Place {
  return { namespace: namespace || home, name }
}
