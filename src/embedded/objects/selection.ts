import type { Kind } from '../../kinds/kind.ts'
import { badRequest } from '../../lib/errors.ts'
import {
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  SelectorError,
  type FieldRequirement,
} from '../../lib/selectors.ts'
import type { Selection } from '../../store/store.ts'
import type { AnyObject } from '../parts.ts'
import { strategyOf } from '../strategies/index.ts'

/** Picks objects. */
export interface Matcher {
  /** Whether everything of the namespace matches, so that nothing has to be looked at. */
  readonly isEverything: boolean
  matches(object: AnyObject): boolean
}

/** What the selectors of a list or watch pick. Throws 400 where they cannot be read or name an unknown field. */
export function buildMatcher(kind: Kind, { labelSelector = '', fieldSelector = '' }: Selection): Matcher {
  try {
    const labels = parseLabelSelector(labelSelector)
    const fields = parseFieldSelector(fieldSelector).map((requirement) => readField(kind, requirement))
    return {
      isEverything: labels.length === 0 && fields.length === 0,
      matches: (object) =>
        matchesLabels(labels, object.metadata.labels) && fields.every((field) => field(object)),
    }
  } catch (error) {
    if (error instanceof SelectorError) throw badRequest(error.message)
    throw error
  }
}

function readField(kind: Kind, { field, operator, value }: FieldRequirement): (object: AnyObject) => boolean {
  const read = readerOf(kind, field)
  const wanted = operator === '='
  return (object) => (textOf(read(object)) === value) === wanted
}

/** A plain value as selectors compare it; what is absent is the empty text. */
function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number'
    ? `${value}`
    : ''
}

function readerOf(kind: Kind, field: string): (object: AnyObject) => unknown {
  if (field === 'metadata.name') return ({ metadata }) => metadata.name
  if (field === 'metadata.namespace' && kind.namespaced) return ({ metadata }) => metadata.namespace
  const fields = strategyOf(kind).selectableFields ?? {}
  const read = Object.hasOwn(fields, field) ? fields[field] : undefined
  if (!read) throw new SelectorError(`field label not supported: ${field}`)
  return read
}
