import { isAlias, isMap, isNode, isScalar, isSeq, type Node, type Pair } from 'yaml'
import { stepsTo } from './paths.ts'
import { placeOf, type Found, type Place, type Source } from './read.ts'

/** Where a field stands in its file: the field itself, or the nearest thing around it that is there. */
export function locate({ source, path, object }: Found, field: string): Place {
  const { document, lines, base } = source
  let node: Node | null | undefined = document.contents
  let offset = node?.range?.[0] ?? 0
  const steps = [...path, ...(field === '' ? [] : stepsTo(field, String(object.kind)))]
  for (const step of steps) {
    const next = stepInto(follow(node, source), step, source)
    if (!next) break
    ;({ node, offset } = next)
  }
  return placeOf(lines, base + offset)
}

interface Step {
  node: Node | undefined
  /** Where a reader would look: a member's name, or an element's beginning. */
  offset: number
}

/** What an alias stands for; anything else as it is. */
function follow(node: Node | null | undefined, { document }: Source): Node | null | undefined {
  return isAlias(node) ? node.resolve(document) : node
}

function stepInto(node: Node | null | undefined, step: string | number, source: Source): Step | undefined {
  if (isSeq(node)) {
    const element = node.items[Number(step)]
    return isNode(element) ? { node: element, offset: element.range?.[0] ?? 0 } : undefined
  }
  if (!isMap(node)) return undefined
  const pair = findPair(node.items, String(step))
  if (pair && isScalar(pair.key)) {
    return { node: isNode(pair.value) ? pair.value : undefined, offset: pair.key.range?.[0] ?? 0 }
  }
  const merged = findPair(node.items, '<<')?.value
  for (const base of isSeq(merged) ? merged.items : [merged]) {
    const found = isNode(base) ? stepInto(follow(base, source), step, source) : undefined
    if (found) return found
  }
  return undefined
}

/** By its name, or else by another spelling of it: causes do not always keep to the letter. */
function findPair(pairs: readonly Pair[], name: string): Pair | undefined {
  // The parser has a symbol for the value of `<<`.
  const names = pairs.map(({ key }) => (isScalar(key) ? (key.source ?? String(key.value)) : ''))
  const exact = names.indexOf(name)
  return pairs[exact === -1 ? names.findIndex((one) => one.toLowerCase() === name.toLowerCase()) : exact]
}
