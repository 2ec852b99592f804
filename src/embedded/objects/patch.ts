import { refusedKind } from '../../kinds/kind.ts'
import { badRequest, StatusError, unsupportedMediaType } from '../../lib/errors.ts'
import { applyJsonPatch, JsonPatchError } from '../../lib/json-patch.ts'
import { isRecord } from '../../lib/json.ts'
import { applyMergePatch } from '../../lib/merge-patch.ts'
import { applyStrategicMerge, StrategicMergeError } from '../../lib/strategic-merge.ts'
import type { PatchType, WriteContext } from '../api.ts'
import type { AnyObject, RegistryParts, Target } from '../parts.ts'
import { checkFields } from './fields.ts'
import { readBody } from './identity.ts'
import { mergeSchemaOf } from './merge-keys.ts'
import { readMetadata } from './metadata.ts'
import { changeObject } from './update.ts'

/** Applies a patch to the newest version, again where somebody else was faster. */
export async function patchObject(
  parts: RegistryParts,
  target: Target,
  type: PatchType,
  body: unknown,
  context: WriteContext,
): Promise<AnyObject> {
  const { kind } = target
  if (type === 'strategic' && !kind.builtIn) {
    throw unsupportedMediaType(
      'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json',
    )
  }
  return changeObject(parts, target, context, (current) => {
    const patched = applyPatch(target, type, current, body)
    const warnings: string[] = []
    const object = checkFields(parts.shapes, kind, readBody(kind, patched), { ...context, warnings })
    // The patch may be applied several times; its warnings are told once.
    for (const warning of warnings) if (!context.warnings.includes(warning)) context.warnings.push(warning)
    return { ...object, metadata: readMetadata(object.metadata) }
  })
}

function applyPatch({ kind, name }: Target, type: PatchType, current: AnyObject, body: unknown): unknown {
  try {
    if (type === 'json') return applyJsonPatch(current, body)
    if (!isRecord(body)) throw badRequest('the body of a merge patch must be an object')
    return type === 'merge'
      ? applyMergePatch(current, body)
      : applyStrategicMerge(current, body, mergeSchemaOf(kind))
  } catch (error) {
    if (error instanceof StrategicMergeError) throw badRequest(error.message)
    if (!(error instanceof JsonPatchError)) throw error
    throw refusePatch(error, { ...refusedKind(kind), name })
  }
}

function refusePatch(
  { fault, message }: JsonPatchError,
  about: { group: string; kind: string; name: string },
): StatusError {
  const { group, kind, name } = about
  const details = { name, ...(group && { group }), kind }
  switch (fault) {
    case 'malformed':
      return badRequest(message)
    case 'too-large':
      return new StatusError(413, 'RequestEntityTooLarge', message, details)
    default:
      return new StatusError(
        422,
        'Invalid',
        `the server rejected our request due to an error in our request: ${message}`,
        details,
      )
  }
}
