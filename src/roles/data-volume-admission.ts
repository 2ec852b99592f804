import type { Admission } from '../admission/admission.ts'
import type { ForeignUses } from '../auth/foreign-use.ts'
import { keepDataVolumeSpec, settleDataVolume } from '../instancetype/settle-data-volume.ts'
import type { DataVolume } from '../kinds/cdi.ts'
import { DATA_VOLUMES } from '../kinds/table.ts'
import type { ObjectReader } from '../store/store.ts'

/**
 * Judges by the rules of the kind, then sees to DataVolumes as CDI's webhooks would: in embedded mode it is our own controller
 * that fills them, and it asks for nobody's rights any more.
 */
export function withDataVolumes(rules: Admission, reader: ObjectReader, foreignUses: ForeignUses): Admission {
  return {
    async review(request) {
      const verdict = await rules.review(request)
      if (request.kind !== DATA_VOLUMES || request.subresource) return verdict
      // What is reviewed under a kind has its type.
      const [volume, old] = [verdict.object as DataVolume, request.old as DataVolume | undefined]
      const object = old
        ? keepDataVolumeSpec(volume, old)
        : await settleDataVolume(reader, volume, foreignUses(request.user))
      return { ...verdict, object }
    },
  }
}
