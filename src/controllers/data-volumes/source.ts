/** What DataVolumes are filled with here. Source: `DataVolumeSource` in CDI's documentation, "DataVolumes". */
import type { DataVolume } from '../../kinds/cdi.ts'
import type { ClaimPlace } from '../claims/files.ts'

/** Nothing, the image of a claim, or a sentence that says why this cannot be done. */
export type FillWith = { from: 'nothing' } | { from: 'claim'; claim: ClaimPlace } | { refusal: string }

const KNOWN = 'use source.pvc, source.blank, a sourceRef to a claim, or a containerDisk in the VM instead'

/** What a DataVolume says that its claim is to hold. A `sourceRef` was written out as `source` before. */
export function readSource({ metadata, spec }: DataVolume): FillWith {
  const { source, pvc, storage } = spec ?? {}
  const claim = storage ?? pvc
  if (spec?.contentType === 'archive') return refuse('contentType archive is not unpacked here')
  if (spec?.checkpoints?.length) return refuse('checkpoints are not imported here')
  if (claim?.dataSource || claim?.dataSourceRef)
    return refuse('a dataSource of the claim is not followed here')
  if (source?.blank) return { from: 'nothing' }
  if (source?.pvc) {
    const { namespace, name } = source.pvc
    return { from: 'claim', claim: { namespace: namespace || metadata.namespace, name } }
  }
  const [named] = Object.keys(source ?? {})
  return refuse(
    named === undefined ? 'spec says no source' : `a DataVolume with source.${named} is not filled here`,
  )
}

function refuse(why: string): FillWith {
  return { refusal: `${why}: ${KNOWN}` }
}
