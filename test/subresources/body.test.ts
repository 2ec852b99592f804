import { expect, test } from 'vitest'
import { StatusError } from '../../src/lib/errors.ts'
import { decodeOptions } from '../../src/subresources/body.ts'

const FIELDS = { paused: 'boolean', dryRun: 'strings', gracePeriod: 'integer', name: 'string' } as const
const decode = (text: string | Buffer) => decodeOptions(Buffer.from(text as string), FIELDS)

test.each([
  ['nothing', '', {}],
  ['white space', ' \n\t', {}],
  ['null', 'null', {}],
  ['an empty object', '{}', {}],
  ['YAML with comments only', '# nothing\n', {}],
  ['an empty YAML document', '---\n', {}],
  [
    'JSON',
    '{"paused":true,"gracePeriod":5,"dryRun":["All"],"name":"x"}',
    { paused: true, gracePeriod: 5, dryRun: ['All'], name: 'x' },
  ],
  ['JSON with something behind it', '{"paused":true}{"paused":false} rubbish', { paused: true }],
  ['JSON with braces and quotes in texts', '{"name":"}\\"{\\\\"} x', { name: '}"{\\' }],
  ['JSON behind a byte-order mark', '\uFEFF{"paused":true}', { paused: true }],
  ['JSON behind white space', '\n  {"paused":true}', { paused: true }],
  ['YAML', 'paused: true\ngracePeriod: 5\n', { paused: true, gracePeriod: 5 }],
  ['YAML as of 1.1', 'paused: yes\n', { paused: true }],
  ['the first of several YAML documents', '---\npaused: true\n---\n[broken', { paused: true }],
  ['fields nobody knows', '{"kind":"StartOptions","other":{"paused":1},"paused":true}', { paused: true }],
  ['names in another case', '{"PAUSED":true,"graceperiod":1}', { paused: true, gracePeriod: 1 }],
  ['names in another case, in YAML', 'DryRun: [All]\n', { dryRun: ['All'] }],
  ['a key twice', '{"paused":true,"paused":false}', { paused: false }],
  ['a key twice, in YAML', 'paused: true\npaused: false\n', { paused: false }],
  ['a field that is null', '{"paused":null}', {}],
  ['names of the prototype', '{"__proto__":{"paused":true},"constructor":1}', {}],
])('%s is understood', (_what, text, options) => {
  expect(decode(text)).toEqual(options)
})

test.each([
  ['a list', '[]'],
  ['a list in YAML', '- paused\n'],
  ['a text', 'paused'],
  ['a number', '7'],
  ['JSON that breaks off', '{"paused":tru'],
  ['JSON that never closes', '{"paused":true'],
  ['a text that never closes', `{"${'\\"'.repeat(100_000)}`],
  ['YAML that is broken', 'a: [1\nb: }'],
  [
    'YAML that multiplies itself',
    'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]',
  ],
  ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
  ['a boolean in quotes', '{"paused":"true"}'],
  ['a number in quotes', '{"gracePeriod":"5"}'],
  ['half a second', '{"gracePeriod":0.5}'],
  ['a number beyond all', '{"gracePeriod":1e30}'],
  ['a text for a list', '{"dryRun":"All"}'],
  ['a list of numbers', '{"dryRun":[1]}'],
])('%s is 400', (_what, text) => {
  expect(() => decodeOptions(Buffer.from(text as string), FIELDS)).toThrow(
    expect.objectContaining({ code: 400, reason: 'BadRequest' }) as StatusError,
  )
})

test('long YAML is not read', () => {
  expect(() => decode(`# ${'x'.repeat(40_000)}\npaused: true\n`)).toThrow(
    expect.objectContaining({ code: 413 }) as StatusError,
  )
})

test('deep nesting does no harm', () => {
  expect(() => decode(`{"a":${'['.repeat(100_000)}`)).toThrow(StatusError)
  expect(() => decode('- '.repeat(15_000))).toThrow(StatusError)
})
