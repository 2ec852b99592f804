import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { decode } from '../../../src/admission/types/decode.ts'
import { typeNamed, type ObjectType, type Type } from '../../../src/admission/types/parse.ts'
import { read } from '../../../src/admission/types/read.ts'
import { shapeFaults } from '../../../src/admission/types/schema.ts'
import { WEBHOOKS, type Webhook } from '../../../src/admission/webhooks/paths.ts'
import { answerReview } from '../../../src/admission/webhooks/review.ts'
import { isRecord } from '../../../src/lib/json.ts'
import { recordedParts, reviewOf, type Target } from '../../helpers/vectors.ts'

/** Reviews in all; each webhook gets its share. */
const REVIEWS = 50_000
/** A review that takes longer hangs, on however busy a machine. */
const LIMIT_MS = 1000

const TEXTS = [
  '',
  'a',
  'default',
  'disk0',
  'virtio',
  '1Gi',
  '-1',
  '02:00:00:00:00:01',
  'x'.repeat(300),
  '__proto__',
  '🦕',
]
const QUANTITIES = ['0', '1', '-1', '64Mi', '1Gi', '1500m', '1e3', '0.1n', '1e999', '-1e-999', 7, -3, 1.5]
const ODD_QUANTITIES = ['x', '', '9'.repeat(64), -5e-324, 1e37, Number.MAX_VALUE]
const NUMBERS = [0, 1, 2, 3, -1, 255, 4096, 2 ** 31, 2 ** 32, 2 ** 53, 1.5]
const MOMENTS = ['2026-01-01T00:00:00Z', 'yesterday', '']

/** Any JSON at all. */
const anything = fc.jsonValue({ maxDepth: 3 })

/** How values are made up. */
interface Recipe {
  depth: number
  /** Whether some are not of their type. */
  isLoose: boolean
}

const deeper = ({ depth, isLoose }: Recipe): Recipe => ({ depth: depth - 1, isLoose })

/** A value that fits a type; of loose ones, one in sixteen does not fit at all. */
function valueOf(type: Type, recipe: Recipe): fc.Arbitrary<unknown> {
  const fitting = fittingOf(type, recipe)
  if (!recipe.isLoose) return fitting
  return fc.oneof({ weight: 15, arbitrary: fitting }, { weight: 1, arbitrary: anything })
}

function fittingOf(type: Type, recipe: Recipe): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'scalar':
      return scalarOf(type, recipe)
    case 'list':
      return recipe.depth <= 0
        ? fc.constant([])
        : fc.array(
            fc.constant(undefined).chain(() => valueOf(type.items, deeper(recipe))),
            { maxLength: 3 },
          )
    case 'map':
      return fc.dictionary(
        fc.constantFrom('cpu', 'memory', 'a/b', ...TEXTS),
        valueOf(type.values, deeper(recipe)),
        { maxKeys: 2 },
      )
    case 'object':
      return objectOf(type, recipe)
  }
}

function scalarOf(
  { scalar, words }: Extract<Type, { kind: 'scalar' }>,
  { isLoose }: Recipe,
): fc.Arbitrary<unknown> {
  if (words) return fc.constantFrom(...words, ...(isLoose ? ['other'] : []))
  if (scalar === 'bool') return fc.boolean()
  if (scalar === 'qty') return fc.constantFrom<unknown>(...QUANTITIES, ...(isLoose ? ODD_QUANTITIES : []))
  if (scalar === 'time') return fc.constantFrom(...MOMENTS.slice(0, isLoose ? 3 : 1))
  if (scalar === 'duration' && !isLoose) return fc.constantFrom('5m0s', '1h')
  if (scalar === 'obj') return fc.constant({})
  return ['i32', 'int64', 'u32', 'u64', 'intstr'].includes(scalar)
    ? fc.constantFrom(...NUMBERS.slice(0, isLoose ? NUMBERS.length : 4))
    : fc.constantFrom(...TEXTS)
}

function objectOf({ members, required }: ObjectType, recipe: Recipe): fc.Arbitrary<unknown> {
  const names = [...members.keys()]
  if (names.length === 0 || (recipe.depth <= 0 && recipe.isLoose)) return fc.constant({})
  return fc
    .subarray(names, { maxLength: recipe.depth <= 0 ? 0 : Math.min(names.length, 5) })
    .chain((chosen) => {
      const wanted = [...new Set([...chosen, ...required])]
      const entries = wanted.flatMap((name) => {
        const member = members.get(name)
        return member ? [[name, valueOf(member.type, deeper(recipe))] as const] : []
      })
      return fc.record(Object.fromEntries(entries))
    })
}

interface Case {
  target: Target
  object: unknown
}

/** Objects whose types are right reach the rules; the others may not. */
function objectArbitrary({ spec, status }: Webhook, isLoose: boolean): fc.Arbitrary<unknown> {
  const part = (name: string | undefined) =>
    name ? valueOf(typeNamed(name), { depth: 7, isLoose }) : anything
  return fc.record(
    {
      metadata: valueOf(typeNamed('meta.ObjectMeta'), { depth: 3, isLoose }),
      spec: part(spec),
      status: status ? part(status) : fc.constant({}),
    },
    { requiredKeys: ['spec'] },
  )
}

function reviewArbitrary(webhook: Webhook): fc.Arbitrary<Case> {
  const { kind, operation } = webhook
  const object = fc.oneof(
    { weight: 5, arbitrary: objectArbitrary(webhook, false) },
    { weight: 4, arbitrary: objectArbitrary(webhook, true) },
    { weight: 1, arbitrary: anything },
  )
  return fc
    .tuple(object, object, fc.constantFrom('CREATE', 'UPDATE', 'DELETE'))
    .map(([now, before, asked]) => ({
      object: now,
      target: {
        path: '',
        gvk: {},
        gvr: { group: kind.group, version: kind.version, resource: kind.plural },
        operation: operation ?? asked,
        object: {},
        // Whatever it is: it stands where an object is expected.
        oldObject: before as Target['object'],
      },
    }))
}

/** Whether a status says what is wrong. Contract: ADM-RESP-006, ADM-DENY-001 … 005. */
function isRefusal(status: unknown): boolean {
  if (!isRecord(status) || !isRecord(status.metadata) || status.message === '') return false
  return typeof status.code === 'number' || (isRecord(status.details) && status.reason === 'Invalid')
}

const parts = recordedParts('gates')

test.each(WEBHOOKS)('any object gets a well-formed review in return: $path', async (webhook) => {
  const numRuns = Math.ceil(REVIEWS / WEBHOOKS.length)
  await fc.assert(
    fc.asyncProperty(reviewArbitrary(webhook), async ({ target, object }) => {
      const body = Buffer.from(JSON.stringify(reviewOf(target, object)))
      // Time of this thread: others may keep it waiting for as long as they like.
      const before = process.threadCpuUsage()
      const answer = await answerReview(parts, webhook, body)
      const { user, system } = process.threadCpuUsage(before)
      expect((user + system) / 1000).toBeLessThan(LIMIT_MS)
      expect(answer.failure).toBeUndefined()
      expect(answer.code).toBe(200)
      const { response, kind } = answer.body ?? {}
      expect(kind).toBe('AdmissionReview')
      if (!isRecord(response)) throw new Error('there is no response')
      expect(typeof response.allowed).toBe('boolean')
      expect(response.allowed || isRefusal(response.status)).toBe(true)
    }),
    { numRuns },
  )
})

test.each([
  ['nothing', ''],
  ['half a review', '{"request":'],
  ['a list', '[]'],
  ['no request', '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}'],
  ['a request that is none', '{"request":[1]}'],
  ['brackets without end', '['.repeat(100_000)],
  ['an object that is too deep', `{"request":{"object":${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}}}`],
])('D8: %s is refused with 400 and no body', async (_what, text) => {
  for (const webhook of WEBHOOKS) {
    expect(await answerReview(parts, webhook, Buffer.from(text))).toEqual({ code: 400 })
  }
})

test.each(WEBHOOKS.filter(({ spec }) => spec))(
  'what is read in one pass is what the steps one by one make of it: $path',
  (webhook) => {
    const spec = webhook.spec ?? ''
    const values = fc.oneof(
      valueOf(typeNamed(spec), { depth: 7, isLoose: false }),
      valueOf(typeNamed(spec), { depth: 7, isLoose: true }),
    )
    let count = 0
    fc.assert(
      fc.property(values, (value) => {
        for (const isChecked of [true, false]) {
          const found = read(spec, value, isChecked)
          if (found === undefined) continue
          count += 1
          expect(isChecked ? shapeFaults(spec, value, 'spec', { isOpen: false }) : []).toEqual([])
          expect(found).toEqual(decode(spec, value, 'spec'))
        }
      }),
      { numRuns: 200 },
    )
    expect(count).toBeGreaterThan(50)
  },
)

/** Bytes in use once all garbage is gone. */
function usedBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  collect()
  return process.memoryUsage().heapUsed
}

test('D8: reviews leave nothing behind in memory', async () => {
  const bodies = WEBHOOKS.flatMap((webhook) =>
    fc.sample(reviewArbitrary(webhook), { numRuns: 20, seed: 1 }).map(({ target, object }) => ({
      webhook,
      body: Buffer.from(JSON.stringify(reviewOf(target, object))),
    })),
  )
  const reviewAll = async (): Promise<void> => {
    for (const { webhook, body } of bodies) await answerReview(parts, webhook, body)
  }
  await reviewAll()
  const before = usedBytes()
  for (let round = 0; round < 10; round++) await reviewAll()
  // 5,200 reviews of some kilobytes each.
  expect(usedBytes() - before).toBeLessThan(2 * 1024 * 1024)
})
