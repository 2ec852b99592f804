/** DataVolumes that people write themselves, where there is no CDI. Source: CDI's own webhooks for DataVolumes. */
import type { DataVolume } from '../kinds/cdi.ts'
import type { MayUse } from '../kinds/foreign-use.ts'
import { refusedKind } from '../kinds/kind.ts'
import { DATA_VOLUMES } from '../kinds/table.ts'
import { forbiddenValue, missingValue } from '../lib/causes.ts'
import { invalid } from '../lib/errors.ts'
import { isSameJson } from '../lib/json.ts'
import { reviewClone, type DataVolumeTemplate } from './clone-sources.ts'
import type { Getter } from './find.ts'

/**
 * A new DataVolume with what its DataSource says at this moment written out as its `source`: it may say something else once
 * the data is copied, and nobody is asked then. `mayUse` is asked for what is of other namespaces. Throws what that throws,
 * and 422 where the DataSource says nothing.
 */
export async function settleDataVolume(
  reader: Getter,
  volume: DataVolume,
  mayUse: MayUse,
): Promise<DataVolume> {
  const { spec, metadata } = volume
  if (!spec) return volume
  // Two packages name the same words.
  const template = { metadata: { name: metadata.name }, spec } as DataVolumeTemplate
  const found = await reviewClone(reader, metadata.namespace, template, 'spec', mayUse)
  if (!spec.sourceRef || spec.source) return volume
  if (found) return { ...volume, spec: { ...spec, source: found } }
  const message = `there is no DataSource "${spec.sourceRef.name}" that names a claim or a snapshot: make it first`
  throw invalid(refusedKind(DATA_VOLUMES), metadata.name, [missingValue('spec.sourceRef', message)])
}

/**
 * A DataVolume that is changed: its spec stays as it was. Where only the `source` is left out that we wrote, that stays, too.
 * Throws 422.
 */
export function keepDataVolumeSpec(volume: DataVolume, old: DataVolume): DataVolume {
  const source = volume.spec?.sourceRef ? (volume.spec.source ?? old.spec?.source) : volume.spec?.source
  const spec = volume.spec && { ...volume.spec, ...(source && { source }) }
  if (isSameJson(spec, old.spec)) return spec ? { ...volume, spec } : volume
  const message = 'the spec of a DataVolume cannot be changed: delete it and make another one'
  throw invalid(refusedKind(DATA_VOLUMES), volume.metadata.name, [forbiddenValue('spec', message)])
}
