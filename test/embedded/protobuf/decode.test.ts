import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeObject } from '../../../src/embedded/protobuf/decode.ts'
import { formatExact, parseExact } from '../../../src/lib/exact-json.ts'
import { StatusError } from '../../../src/lib/errors.ts'
import { bytes, envelope, integer, tag, varint } from './writer.ts'

interface Captured {
  command: string
  /** What kubectl 1.32 sent, in base64. */
  body: string
  /** What it prints with `--dry-run=client -o json`, without nulls. Of reviews and tokens: what was asked for. */
  json: unknown
}

// The file is our own.
const captured = JSON.parse(readFileSync(new URL('captured.json', import.meta.url), 'utf8')) as Captured[]

test.each(captured)('the body of "$command" says what its JSON says', ({ body, json }) => {
  expect(decodeObject(Buffer.from(body, 'base64'))).toEqual(json)
})

function decodeMetadata(...fields: Buffer[]): unknown {
  return decodeObject(envelope('v1', 'ConfigMap', bytes(1, Buffer.concat(fields))))['metadata']
}

function decodeSpec(apiVersion: string, kind: string, ...fields: Buffer[]): unknown {
  return decodeObject(envelope(apiVersion, kind, bytes(2, Buffer.concat(fields))))['spec']
}

describe('what kubectl does not send, and other clients may', () => {
  test('times have whole seconds, and micro times six digits', () => {
    const moment = Buffer.concat([integer(1, 1_700_000_000), integer(2, 123_456_789)])
    expect(decodeMetadata(bytes(8, moment), bytes(9, moment))).toEqual({
      creationTimestamp: '2023-11-14T22:13:20Z',
      deletionTimestamp: '2023-11-14T22:13:20Z',
    })
    expect(decodeSpec('coordination.k8s.io/v1', 'Lease', bytes(3, moment))).toEqual({
      acquireTime: '2023-11-14T22:13:20.123456Z',
    })
  })

  test('an empty time is none, and second 0 is 1970', () => {
    expect(decodeMetadata(bytes(8, ''))).toEqual({})
    expect(decodeMetadata(bytes(8, integer(1, 0)))).toEqual({ creationTimestamp: '1970-01-01T00:00:00Z' })
  })

  test('what is set to zero stays, what is merely not set goes', () => {
    expect(decodeMetadata(bytes(1, ''), integer(7, 0), integer(10, 0))).toEqual({
      deletionGracePeriodSeconds: 0,
    })
    expect(decodeObject(envelope('v1', 'Secret', bytes(3, ''), integer(5, 0)))).toMatchObject({
      immutable: false,
    })
  })

  test('managed fields and revisions hold JSON', () => {
    const entry = Buffer.concat([bytes(1, 'kubectl'), bytes(7, bytes(1, '{"f:data":{}}'))])
    expect(decodeMetadata(bytes(17, entry))).toEqual({
      managedFields: [{ manager: 'kubectl', fieldsV1: { 'f:data': {} } }],
    })
    const revision = envelope('apps/v1', 'ControllerRevision', bytes(2, bytes(1, '{"a":[1]}')), integer(3, 7))
    expect(decodeObject(revision)).toMatchObject({ data: { a: [1] }, revision: 7 })
  })

  test.each(['9007199254740993', '9223372036854775807', '-9223372036854775808'])(
    'a whole number keeps its 64 bits, in JSON inside, too: %s',
    (number) => {
      const revision = envelope(
        'apps/v1',
        'ControllerRevision',
        bytes(2, bytes(1, `{"a":${number}}`)),
        integer(3, BigInt(number)),
      )
      expect(formatExact(decodeObject(revision))).toBe(
        `{"apiVersion":"apps/v1","kind":"ControllerRevision","data":{"a":${number}},"revision":${number}}`,
      )
    },
  )

  test('quantities and lists of extra values stand in messages of their own', () => {
    const hard = Buffer.concat([bytes(1, 'cpu'), bytes(2, bytes(1, '2'))])
    expect(decodeSpec('v1', 'ResourceQuota', bytes(1, hard))).toEqual({ hard: { cpu: '2' } })
    const extra = Buffer.concat([bytes(1, 'scopes'), bytes(2, Buffer.concat([bytes(1, 'a'), bytes(1, 'b')]))])
    expect(decodeSpec('authorization.k8s.io/v1', 'SubjectAccessReview', bytes(5, extra))).toEqual({
      extra: { scopes: ['a', 'b'] },
    })
  })

  test('DeleteOptions come in the version of what is deleted', () => {
    const body = envelope(
      'rbac.authorization.k8s.io/v1',
      'DeleteOptions',
      integer(1, 0),
      bytes(4, 'Foreground'),
    )
    expect(decodeObject(body)).toMatchObject({ gracePeriodSeconds: 0, propagationPolicy: 'Foreground' })
  })

  test('a message that comes twice is merged, and of a value that comes twice the last holds', () => {
    const body = envelope(
      'v1',
      'ConfigMap',
      bytes(1, Buffer.concat([bytes(1, 'one'), bytes(3, 'there')])),
      bytes(1, bytes(1, 'two')),
    )
    expect(decodeObject(body)['metadata']).toEqual({ name: 'two', namespace: 'there' })
  })

  test('fields that are not known are passed over, groups too', () => {
    const group = Buffer.concat([tag(98, 3), tag(97, 3), integer(1, 1), tag(97, 4), tag(98, 4)])
    const fixed = Buffer.concat([tag(96, 1), Buffer.alloc(8), tag(95, 5), Buffer.alloc(4)])
    expect(decodeMetadata(bytes(99, 'x'), group, fixed, bytes(1, 'name'))).toEqual({ name: 'name' })
  })

  test('keys of maps may be any text, and either half of an entry may be missing', () => {
    const entry = Buffer.concat([bytes(1, '__proto__'), bytes(2, 'x')])
    const body = envelope('v1', 'ConfigMap', bytes(2, entry), bytes(2, bytes(1, 'alone')), bytes(2, ''))
    expect(JSON.stringify(decodeObject(body)['data'])).toBe('{"__proto__":"x","alone":"","":""}')
  })
})

function refusalOf(body: Buffer): StatusError {
  try {
    decodeObject(body)
  } catch (error) {
    if (error instanceof StatusError) return error
    throw error
  }
  throw new Error('it was not refused')
}

const OUTCOME = /^(decoded|400|415)$/
const nested = Buffer.concat(Array.from({ length: 100 }, () => tag(98, 3)))

describe('bodies that make no sense are 400', () => {
  test.each([
    ['nothing', Buffer.alloc(0), 'does not begin'],
    ['JSON', Buffer.from('{"kind":"Namespace"}'), 'does not begin'],
    ['an envelope without a type', Buffer.from('k8s\0'), 'apiVersion and kind'],
    [
      'an object that is encoded once more',
      Buffer.concat([Buffer.from('k8s\0'), bytes(3, 'gzip')]),
      'encoded',
    ],
    ['a length beyond the end', envelope('v1', 'Secret', tag(1, 2), varint(100)), 'cut off'],
    ['a number without an end', envelope('v1', 'Secret', tag(5, 0), Buffer.alloc(1, 0x80)), 'cut off'],
    ['a number of eleven bytes', envelope('v1', 'Secret', tag(5, 0), Buffer.alloc(11, 0x80)), 'too long'],
    ['a length of 2^40', envelope('v1', 'Secret', tag(1, 2), varint(2n ** 40n)), 'too long'],
    ['field number 0', envelope('v1', 'Secret', tag(0, 0), varint(1)), 'number'],
    ['a text where a number belongs', envelope('v1', 'Secret', bytes(5, 'yes')), 'immutable has wire type 2'],
    ['a number where a text belongs', envelope('v1', 'Secret', integer(3, 1)), 'type has wire type 0'],
    ['an end of a group without a group', envelope('v1', 'Secret', tag(98, 4)), 'wire type 4'],
    ['a group that ends as another', envelope('v1', 'Secret', tag(98, 3), tag(97, 4)), 'not begun'],
    ['groups in groups in groups', envelope('v1', 'Secret', nested), 'levels deep'],
    ['a text that is no UTF-8', envelope('v1', 'Secret', bytes(3, Buffer.of(0xff))), 'UTF-8'],
    ['a time of 2^60', envelope('v1', 'Secret', bytes(1, bytes(8, integer(1, 2n ** 60n)))), 'years'],
    ['a year 10000', envelope('v1', 'Secret', bytes(1, bytes(8, integer(1, 253_402_300_800)))), 'years'],
    ['broken JSON inside', envelope('apps/v1', 'ControllerRevision', bytes(2, bytes(1, '{'))), 'JSON inside'],
    [
      'JSON inside that is too deep',
      envelope('apps/v1', 'ControllerRevision', bytes(2, bytes(1, '['.repeat(10_000)))),
      'levels deep',
    ],
  ])('%s', (_what, body, text) => {
    const refusal = refusalOf(body)
    expect(refusal).toMatchObject({ code: 400, reason: 'BadRequest' })
    expect(refusal.message).toContain(text)
  })

  test('whatever the bytes are, they are decoded or refused', () => {
    const kinds = fc.constantFrom(
      'Namespace',
      'Secret',
      'Node',
      'Event',
      'PersistentVolumeClaim',
      'DeleteOptions',
    )
    fc.assert(
      fc.property(kinds, fc.uint8Array({ maxLength: 300 }), (kind, raw) => {
        expect(outcomeOf(envelope('v1', kind, Buffer.from(raw)))).toMatch(OUTCOME)
      }),
    )
  })

  test('whatever a byte of a good body is changed to, and wherever it is cut, it is decoded or refused', () => {
    const bodies = fc.constantFrom(...captured.map(({ body }) => Buffer.from(body, 'base64')))
    fc.assert(
      fc.property(bodies, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(), (body, place, byte, cut) => {
        const changed = Buffer.from(body)
        changed[place % changed.length] = byte
        expect(outcomeOf(changed)).toMatch(OUTCOME)
        expect(outcomeOf(body.subarray(0, cut % body.length))).toMatch(OUTCOME)
      }),
      { numRuns: 1000 },
    )
  })
})

/** Throws what is thrown, unless it is a refusal. */
function outcomeOf(body: Buffer): string {
  try {
    decodeObject(body)
    return 'decoded'
  } catch (error) {
    if (error instanceof StatusError) return String(error.code)
    throw error
  }
}

test('texts and numbers come out as they went in', () => {
  const text = fc.string({ unit: 'binary' })
  fc.assert(
    fc.property(
      fc.dictionary(text, text),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      (data, seconds) => {
        const entries = Object.entries(data).map(([key, value]) =>
          bytes(2, Buffer.concat([bytes(1, key), bytes(2, value)])),
        )
        const read = decodeObject(envelope('v1', 'ConfigMap', ...entries))['data'] ?? {}
        expect(new Map(Object.entries(read))).toEqual(new Map(Object.entries(data)))
        const options = decodeObject(envelope('v1', 'DeleteOptions', integer(1, seconds)))
        // As the same number would be in JSON.
        expect(options['gracePeriodSeconds']).toBe(parseExact(`${seconds}`))
      },
    ),
  )
})

test('the largest body that is accepted takes no more than a moment, however much is in it', () => {
  const elements = Buffer.alloc(3_000_000, bytes(13, ''))
  const started = performance.now()
  decodeMetadata(elements)
  // It takes half a second here; what grows with the square of the elements takes minutes.
  expect(performance.now() - started).toBeLessThan(10_000)
})

test.each([
  ['kubevirt.io/v1', 'VirtualMachine'],
  ['v1', 'Pod'],
  ['rbac.authorization.k8s.io/v2', 'Role'],
  ['constructor', 'name'],
  ['v1', 'constructor'],
])('%s %s is 415, and the answer says what to send instead', (apiVersion, kind) => {
  const refusal = refusalOf(envelope(apiVersion, kind))
  expect(refusal).toMatchObject({ code: 415, reason: 'UnsupportedMediaType' })
  expect(refusal.message).toContain(`${kind} (${apiVersion})`)
  expect(refusal.message).toContain('application/json')
})
