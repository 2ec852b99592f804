import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { buildFiles, formatYaml } from '../../apiservice/files.ts'
import { DEFAULTS } from '../../apiservice/manifest.ts'

const DIRECTORY = 'apiservice/generated'
const files = buildFiles(DEFAULTS)

test.each([...files])('%s is what npm run generate would write', (name, manifests) => {
  const written = readFileSync(`${DIRECTORY}/${name}`, 'utf8')
  expect(written === formatYaml(manifests), `${DIRECTORY}/${name} is out of date: npm run generate`).toBe(
    true,
  )
})

test('nothing else lies there', () => {
  expect(readdirSync(DIRECTORY).toSorted()).toEqual([...files.keys()].toSorted())
})

test.each([...files])('%s reads back as the objects it was made of', (_name, manifests) => {
  const read = parseAllDocuments(formatYaml(manifests), { version: '1.1' }).map(
    (one) => one.toJS() as unknown,
  )
  expect(read).toEqual(JSON.parse(JSON.stringify(manifests)))
})

test('no object is there twice', () => {
  const names = [...files.values()]
    .flat()
    .map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`)
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([])
})

test('another namespace and a CA bundle are everywhere they belong', () => {
  const text = [...buildFiles({ ...DEFAULTS, namespace: 'elsewhere', caBundle: 'Q0E=' }).values()]
    .map(formatYaml)
    .join('')
  expect(text).not.toMatch(/namespace: kubevirt$/m)
  expect(text.match(/namespace: elsewhere$/gm)).not.toBeNull()
  const services = text.match(/^ +service:$/gm) ?? []
  expect(services.length).toBeGreaterThan(20)
  expect(text.match(/caBundle: Q0E=$/gm)).toHaveLength(services.length)
})
