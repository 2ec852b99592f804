import { refusedKind, type Kind } from '../../kinds/kind.ts'
import { badRequest, invalid } from '../../lib/errors.ts'
import type { ShapeChecker, WriteContext } from '../api.ts'
import type { AnyObject } from '../parts.ts'
import { unknownMetadataFields } from './metadata.ts'

/**
 * The object without fields its schema does not know, which are reported as the client wants it, and without those
 * that are null.
 *
 * Throws 400 for unknown fields under `Strict`, 422 where the shape is wrong.
 * Source: "Field validation" in the Kubernetes API concepts.
 */
export function checkFields(
  shapes: ShapeChecker,
  kind: Kind,
  object: AnyObject,
  context: WriteContext,
): AnyObject {
  const report = shapes.check(kind, object)
  const unknown = [...new Set([...report.unknownFields, ...unknownMetadataFields(object.metadata)])]
  const words = unknown.map((field) => `unknown field "${field}"`)
  if (words.length > 0 && context.fieldValidation === 'Strict') {
    throw badRequest(`strict decoding error: ${words.join(', ')}`)
  }
  if (context.fieldValidation !== 'Ignore') context.warnings.push(...words)
  if (report.causes.length > 0) throw invalid(refusedKind(kind), object.metadata?.name ?? '', report.causes)
  return report.unknownFields.length > 0 || report.hasNulls ? shapes.prune(kind, object) : object
}
