import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { expect, test } from 'vitest'
import { isRecord, type JsonRecord } from '../../src/lib/json.ts'
import { mergeValues, readChart } from '../helpers/chart.ts'
import { CHART, readValueSets } from '../helpers/chart-values.ts'

const { values: defaults } = readChart(CHART)
const schema: JsonRecord = JSON.parse(readFileSync(`${CHART}/values.schema.json`, 'utf8'))
const validate = new Ajv({
  allErrors: true,
  strict: true,
  strictRequired: false,
  strictTypes: false,
}).compile(schema)

test.each(readValueSets())('%s: the values are accepted', (_name, values) => {
  validate(mergeValues(defaults, values))
  expect(validate.errors ?? []).toEqual([])
})

test.each<[string, JsonRecord]>([
  ['/image/tag', { image: { tag: 'no tag' } }],
  ['/image/digest', { image: { digest: 'md5:0' } }],
  ['/logLevel', { logLevel: 'loud' }],
  ['/apiServer/port', { apiServer: { port: 0 } }],
  ['/apiServer/port', { apiServer: { port: '8443' } }],
  ['/apiServer/replicas', { apiServer: { replicas: 0 } }],
  ['/apiServer/allowedOrigins/0', { apiServer: { allowedOrigins: ['https://console.example.org/'] } }],
  ['/apiServer', { apiServer: { replica: 3 } }],
  ['/controller/extraArgs/0', { controller: { extraArgs: ['log-level=debug'] } }],
  ['/certificates/mode', { certificates: { mode: 'none' } }],
  ['/certificates/provided/secretName', { certificates: { mode: 'provided' } }],
  ['/certificates/certManager/duration', { certificates: { certManager: { duration: '90 days' } } }],
  ['/kubevirt/uninstallStrategy', { kubevirt: { uninstallStrategy: 'Never' } }],
  ['/worker/kvm', { worker: { kvm: true } }],
  ['/worker/stateDir', { worker: { stateDir: 'guests' } }],
  ['/worker/runDir', { worker: { runDir: `/${'long'.repeat(10)}` } }],
  ['/worker/bridges/0', { worker: { bridges: ['a-name-that-is-too-long'] } }],
  ['/worker/podLabels/tier', { worker: { podLabels: { tier: 1 } } }],
  ['', { apiserver: { replicas: 3 } }],
])('what is wrong at %j is refused', (place, values) => {
  expect(validate(mergeValues(defaults, values))).toBe(false)
  expect(validate.errors?.map(({ instancePath }) => instancePath)).toContain(place)
})

test('every value that the schema knows has a default, and the other way round', () => {
  expect(namesIn(defaults).toSorted()).toEqual(
    knownTo(schema)
      .filter((name) => name !== 'global')
      .toSorted(),
  )
})

/** Paths of what can be set; maps that may hold anything are not looked into. */
function namesIn(values: JsonRecord, path = ''): string[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const place = path === '' ? name : `${path}.${name}`
    return isRecord(value) && knowsMembers(place) ? namesIn(value, place) : [place]
  })
}

function knowsMembers(place: string): boolean {
  const found = schemaAt(place)
  return found?.['additionalProperties'] === false && place !== 'certificates.certManager.issuerRef'
}

function schemaAt(place: string): JsonRecord | undefined {
  return place.split('.').reduce<JsonRecord | undefined>((at, name) => {
    const member = isRecord(at?.['properties']) ? at['properties'][name] : undefined
    return isRecord(member) ? member : undefined
  }, schema)
}

function knownTo(at: JsonRecord, path = ''): string[] {
  return Object.keys(isRecord(at['properties']) ? at['properties'] : {}).flatMap((name) => {
    const place = path === '' ? name : `${path}.${name}`
    const member = schemaAt(place)
    return member && knowsMembers(place) ? knownTo(member, place) : [place]
  })
}
