import { type AdmissionConfig, defaultConfig } from '../../src/admission/config.ts'
import { buildAdmission } from '../../src/admission/build.ts'
import type { AdmissionRequest } from '../../src/admission/admission.ts'
import { mayUseAll } from '../../src/kinds/foreign-use.ts'
import type { Kind } from '../../src/kinds/kind.ts'
import type { KubeObject } from '../../src/kinds/meta.ts'
import { StatusError } from '../../src/lib/errors.ts'
import type { ObjectReader } from '../../src/store/store.ts'

/** Somebody who is not KubeVirt. */
export const SOMEBODY = { name: 'somebody', groups: ['system:authenticated'] }

/** Finds nothing. */
export const emptyReader: ObjectReader = {
  get: async () => undefined,
  list: async () => ({ items: [], resourceVersion: '1' }),
}

/** When everything happens: 2026-01-01T00:00:00Z. */
export const NOW_MS = 1_767_225_600_000

/** Admission with UIDs that count up from `uid-1`. */
export function makeAdmission(config: Partial<AdmissionConfig> = {}, reader = emptyReader) {
  let count = 0
  return buildAdmission({
    config: () => ({ ...defaultConfig('amd64'), ...config }),
    reader,
    foreignUses: () => mayUseAll,
    clock: { now: () => NOW_MS },
    newUid: () => `uid-${++count}`,
  })
}

/** A request of somebody to create an object. */
export function requestOf(
  kind: Kind,
  object: object,
  extra: Partial<AdmissionRequest> = {},
): AdmissionRequest {
  const metadata = { name: 'a', namespace: 'default', uid: 'u', resourceVersion: '', creationTimestamp: '' }
  // A test hands in what a client would send.
  const complete = { metadata, ...object } as unknown as KubeObject
  return {
    operation: 'CREATE',
    kind,
    namespace: 'default',
    name: 'a',
    object: complete,
    user: SOMEBODY,
    dryRun: false,
    ...extra,
  }
}

/** The causes of a refusal as `reason field`, without `FieldValue`; `[]` where it is admitted. */
export async function causesOf(review: Promise<unknown>): Promise<string[]> {
  try {
    await review
    return []
  } catch (error) {
    if (!(error instanceof StatusError) || error.code !== 422) throw error
    return (error.details?.causes ?? []).map(({ reason = '', field = '' }) =>
      `${reason.replace('FieldValue', '')} ${field}`.trim(),
    )
  }
}
