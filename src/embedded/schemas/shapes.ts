import type { Kind } from '../../kinds/kind.ts'
import { checkValue, pruneValue } from '../../lib/schema/check.ts'
import { compileSchemas, type Node } from '../../lib/schema/node.ts'
import type { Definitions } from '../../lib/schema/schema.ts'
import type { ShapeChecker } from '../api.ts'

/** What controllers have seen so far: they fill it in step by step, so nothing in there is required. */
const LENIENT = ['status']

/** A checker for objects of these kinds. Throws where a kind has no schema. */
export function buildShapeChecker(kinds: readonly Kind[], definitions: Definitions): ShapeChecker {
  const nodes = compileSchemas(
    definitions,
    kinds.map(({ schema }) => schema),
  )
  const nodeOf = ({ schema }: Kind): Node => {
    const node = nodes.get(schema)
    if (!node) throw new Error(`the kind ${schema} was not known when the checker was built`)
    return node
  }
  return {
    check: (kind, object) => checkValue(nodeOf(kind), object, LENIENT),
    // Nothing is added, and what the kind of T knows is kept.
    prune: <T>(kind: Kind, object: T) => pruneValue(nodeOf(kind), object) as T,
  }
}
