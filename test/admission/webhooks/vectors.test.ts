import { describe, expect, test } from 'vitest'
import type { AdmissionParts } from '../../../src/admission/judge.ts'
import { answerReview, findWebhook } from '../../../src/admission/webhooks/review.ts'
import { copyJson, isRecord, isSameJson } from '../../../src/lib/json.ts'
import {
  readTargets,
  readVectors,
  recordedParts,
  reviewOf,
  type Expected,
  type Target,
  type Vector,
} from '../../helpers/vectors.ts'

interface Response {
  allowed: boolean
  status?: { code?: number; details?: { causes?: { reason?: string; field?: string }[] } }
  patch?: string
}

interface Operation {
  op: string
  path: string
  value?: unknown
}

/** What a pointer goes through: an object, or a list by its indices. */
type Tree = Record<string, unknown>

/** Applies a patch as the recorded ones want it: an absent parent is an error, an absent member is set. */
function patched(document: unknown, operations: readonly Operation[]): unknown {
  const root = { document: copyJson(document) }
  for (const { op, path, value } of operations) {
    const keys = ['document', ...path.split('/').slice(1)].map((key) =>
      key.replaceAll('~1', '/').replaceAll('~0', '~'),
    )
    const last = keys.pop() ?? ''
    const parent = keys.reduce<Tree>((at, key) => at[key] as Tree, root)
    if (Array.isArray(parent) && op === 'add')
      parent.splice(last === '-' ? parent.length : Number(last), 0, value)
    else if (Array.isArray(parent) && op === 'remove') parent.splice(Number(last), 1)
    else if (op === 'remove') delete parent[last]
    else if (op !== 'test') parent[last] = copyJson(value)
  }
  return root.document
}

const RANDOM = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/
const SUFFIX = /-[bcdfghjklmnpqrstvwxz2456789]{5}$/

/** What may differ from one answer to the next is masked, unless it was given; `null` is absent. */
function settled(value: unknown, given: ReadonlySet<string>): unknown {
  if (typeof value === 'string') {
    if (given.has(value)) return value
    if (RANDOM.test(value)) return '<uuid>'
    return MOMENT.test(value) ? '<time>' : value.replace(SUFFIX, '-<suffix>')
  }
  if (Array.isArray(value)) return value.map((element) => settled(element, given))
  if (!isRecord(value)) return value
  const members = Object.entries(value).filter(([, content]) => content !== null && content !== undefined)
  return Object.fromEntries(members.map(([name, content]) => [name, settled(content, given)]))
}

function textsIn(value: unknown, found = new Set<string>()): Set<string> {
  if (typeof value === 'string') found.add(value)
  else if (typeof value === 'object' && value !== null) {
    for (const content of Object.values(value)) textsIn(content, found)
  }
  return found
}

function sameCauses(response: Response, { causes = [] }: Expected): boolean {
  const found = response.status?.details?.causes ?? []
  const mine = new Set(found.map(({ reason = '', field = '' }) => `${reason} ${field}`))
  const theirs = new Set(causes.map(([reason, field]) => `${reason} ${field}`))
  // The recorded lists end at ten.
  return [...theirs].every((cause) => mine.has(cause)) && (causes.length >= 10 || mine.size === theirs.size)
}

function agrees(object: unknown, response: Response, expected: Expected): boolean {
  if (response.allowed !== expected.allowed) return false
  if (!expected.allowed) return response.status?.code === expected.code && sameCauses(response, expected)
  if (!expected.patch) return true
  const mine = response.patch ? JSON.parse(Buffer.from(response.patch, 'base64').toString()) : []
  const given = textsIn(object)
  // Both are JSON patches.
  const theirs = expected.patch as Operation[]
  return isSameJson(settled(patched(object, mine), given), settled(patched(object, theirs), given))
}

async function ask(parts: AdmissionParts, target: Target, object: unknown): Promise<Response> {
  const webhook = findWebhook(target.path)
  if (!webhook) throw new Error(`nothing is reviewed at ${target.path}`)
  const answer = await answerReview(parts, webhook, Buffer.from(JSON.stringify(reviewOf(target, object))))
  expect(answer.code).toBe(200)
  return (answer.body as unknown as { response: Response }).response
}

describe.each(['default', 'gates'] as const)('the verdicts recorded with the configuration %s', (name) => {
  const parts = recordedParts(name)
  const targets = readTargets()
  const byTarget = Map.groupBy(readVectors(name), ({ target }) => target)

  test.each([...byTarget.keys()])('are ours for %s', async (targetName) => {
    const target = targets[targetName]
    if (!target) throw new Error(`there is no target ${targetName}`)
    const misses: Vector[] = []
    for (const vector of byTarget.get(targetName) ?? []) {
      const object = patched(target.object, vector.patch as Operation[])
      const response = await ask(parts, target, object)
      const isFree = vector.expect.crash || vector.expect.error
      if (isFree ? typeof response.allowed !== 'boolean' : !agrees(object, response, vector.expect)) {
        misses.push(vector)
      }
    }
    expect(misses).toEqual([])
  })

  test('D7: hold after a second mutation: it changes nothing more', async () => {
    for (const [targetName, vectors] of byTarget) {
      const target = targets[targetName]
      // A clone's name, a list of phases and finalizers grow with each creation.
      if (!target?.path.startsWith('/virtualmachines-mutate')) continue
      for (const { patch } of vectors) {
        const object = patched(target.object, patch as Operation[])
        const first = await ask(parts, target, object)
        if (!first.patch) continue
        const once = patched(object, JSON.parse(Buffer.from(first.patch, 'base64').toString()))
        expect((await ask(parts, target, once)).patch).toBeUndefined()
      }
    }
  })
})
