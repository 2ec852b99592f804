/** A migration that waits for its turn. */
export interface Waiting {
  uid: string
  sourceNode: string
  priority: string | undefined
  /** RFC 3339. */
  since: string
}

/** A migration that has had its turn and is not over. */
export interface Busy {
  uid: string
  sourceNode: string
}

/** How many may be under way. */
export interface Limits {
  perCluster: number
  outboundPerNode: number
}

/** What goes first. One without a priority was asked for by a person. Source: contract 7.6. */
const PRIORITIES = ['system-critical', 'user-triggered', 'system-maintenance']

/** UIDs of those whose turn it is: by priority, then by age, as many as the limits leave room for. */
export function nextInLine(
  waiting: readonly Waiting[],
  busy: readonly Busy[],
  { perCluster, outboundPerNode }: Limits,
): Set<string> {
  const perNode = new Map<string, number>()
  const take = (node: string): void => void perNode.set(node, (perNode.get(node) ?? 0) + 1)
  for (const { sourceNode } of busy) take(sourceNode)
  const next = new Set<string>()
  for (const { uid, sourceNode } of waiting.toSorted(inOrder)) {
    if (busy.length + next.size >= perCluster) break
    if ((perNode.get(sourceNode) ?? 0) >= outboundPerNode) continue
    take(sourceNode)
    next.add(uid)
  }
  return next
}

function inOrder(left: Waiting, right: Waiting): number {
  const rank = rankOf(left.priority) - rankOf(right.priority)
  if (rank !== 0) return rank
  if (left.since !== right.since) return left.since < right.since ? -1 : 1
  return left.uid < right.uid ? -1 : 1
}

function rankOf(priority = 'user-triggered'): number {
  const rank = PRIORITIES.indexOf(priority)
  return rank < 0 ? PRIORITIES.length : rank
}

/** Remembers whose turn has come, until the cache shows it: two passes at once must not take the same place. */
export class Turns {
  readonly #given = new Map<string, string>()

  /** Whether it is the turn of that migration; if so, it counts as busy from now on. */
  take(uid: string, waiting: readonly Waiting[], busy: readonly Busy[], limits: Limits): boolean {
    if (this.#given.has(uid)) return true
    const known = new Set(busy.map((one) => one.uid))
    const given = [...this.#given].map(([one, sourceNode]) => ({ uid: one, sourceNode }))
    const all = [...busy, ...given.filter((one) => !known.has(one.uid))]
    const taken = new Set(all.map((one) => one.uid))
    const left = waiting.filter((one) => !taken.has(one.uid))
    const me = left.find((one) => one.uid === uid)
    if (!me || !nextInLine(left, all, limits).has(uid)) return false
    this.#given.set(uid, me.sourceNode)
    return true
  }

  /** The migration is over, or gone. */
  leave(uid: string): void {
    this.#given.delete(uid)
  }
}
