/** How an authority is replaced without anybody noticing: what there is of it, and what comes next. No I/O. */
import { timeOfLife, validityOf } from './inspect.ts'
import type { KeyPair } from './issue.ts'

/** An authority, what is to follow it and what it has followed. */
export interface Authority {
  /** Signs. */
  active: KeyPair
  /** Is believed by whoever has heard of it, and signs nothing yet. */
  next?: {
    pair: KeyPair
    /** Since when everything that we publish names it; milliseconds since 1970. */
    publishedAt?: number
  }
  /** Sign nothing any more, and are believed for as long as somebody may still show what they have signed. */
  retired: { cert: string; retiredAt: number }[]
  /** The request for a new authority that was met last. */
  request?: string
}

/** How long everything lasts, in milliseconds. */
export interface RotationPolicy {
  authorityMs: number
  leafMs: number
  /** Between a new authority's being published and its first signature: as long as the slowest needs to hear of it. */
  spreadMs: number
  /** How long a retired authority is believed; at least twice the life of a leaf (security.md, E6). */
  overlapMs: number
}

/** What is known from elsewhere when the next step is looked for. */
export interface RotationFacts {
  now: number
  /** What an administrator has written to ask for a new authority: each other text asks anew. */
  request?: string | undefined
  /** Whether all that can be asked have taken up the bundle as it is now. */
  isTrusted: boolean
  /** Whether all that can be asked show certificates of the active authority. */
  isReplaced: boolean
}

/** The one change to an authority that is due. */
export type RotationStep =
  | { step: 'announce'; request?: string }
  | { step: 'published'; at: number }
  | { step: 'promote'; at: number }
  | { step: 'forget'; keep: Authority['retired'] }

/** Those who do not confirm are waited for until this part of the authority's life; then the others come first. */
const PATIENCE = 5 / 6

/** All that is to be believed, the newest first. PEM. */
export function bundleOf({ active, next, retired }: Authority): string {
  const all = [...(next ? [next.pair.cert] : []), active.cert, ...retired.map(({ cert }) => cert)]
  return all.map((pem) => `${pem.trim()}\n`).join('')
}

/**
 * What is to be done next; `undefined` while there is nothing. To be asked once everything that is published names all of
 * `bundleOf(authority)` and every leaf that is kept comes from the active one: that is what makes each step safe, after a
 * crash too, because it is made true again first.
 */
export function nextStep(
  authority: Authority,
  policy: RotationPolicy,
  facts: RotationFacts,
): RotationStep | undefined {
  const { active, next, retired } = authority
  const { now, request } = facts
  if (next && next.publishedAt === undefined) return { step: 'published', at: now }
  if (next && isRipe(authority, policy, facts)) return { step: 'promote', at: now }
  const keep = retired.filter((one) => !isForgettable(one, policy, facts))
  if (keep.length < retired.length) return { step: 'forget', keep }
  if (next) return undefined
  if (request !== undefined && request !== authority.request) return { step: 'announce', request }
  return timeOfLife(active.cert, 2 / 3) <= now ? { step: 'announce' } : undefined
}

/** The authority after a step; `pair` is the new one that an announcement takes. */
export function take(authority: Authority, step: RotationStep, pair: () => KeyPair): Authority {
  const { active, next, retired } = authority
  switch (step.step) {
    case 'announce':
      return {
        ...authority,
        next: { pair: pair() },
        ...(step.request !== undefined && { request: step.request }),
      }
    case 'published':
      return next ? { ...authority, next: { ...next, publishedAt: step.at } } : authority
    case 'promote': {
      const { next: _promoted, ...rest } = authority
      return next
        ? { ...rest, active: next.pair, retired: [{ cert: active.cert, retiredAt: step.at }, ...retired] }
        : authority
    }
    case 'forget':
      return { ...authority, retired: step.keep }
  }
}

/** Once the active one has ended, waiting helps nobody. */
function isRipe({ active, next }: Authority, policy: RotationPolicy, facts: RotationFacts): boolean {
  const { now, isTrusted } = facts
  if (next?.publishedAt === undefined) return false
  if (validityOf(active.cert).notAfter <= now) return true
  if (now < next.publishedAt + policy.spreadMs) return false
  return isTrusted || timeOfLife(active.cert, PATIENCE) <= now
}

function isForgettable(
  { cert, retiredAt }: Authority['retired'][number],
  { overlapMs }: RotationPolicy,
  { now, isReplaced }: RotationFacts,
): boolean {
  return validityOf(cert).notAfter <= now || (isReplaced && retiredAt + overlapMs <= now)
}
