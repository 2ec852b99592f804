import { globSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join, normalize, sep } from 'node:path'
import { expect, test } from 'vitest'

/**
 * Which folder of `src` may import which. A name in `types` may be imported with `import type` alone.
 * Everybody may import node's modules and packages.
 */
const TABLE: Record<string, { values: string[]; types?: string[] }> = {
  lib: { values: [] },
  kinds: { values: ['lib'] },
  kube: { values: ['kinds', 'lib'] },
  rpc: { values: ['kinds', 'lib'], types: ['metrics'] },
  metrics: { values: ['kinds', 'lib'], types: ['kube'] },
  qemu: { values: ['kinds', 'lib'] },
  guest: { values: ['lib'] },
  auth: { values: ['kinds', 'lib'], types: ['store', 'kube'] },
  store: { values: ['kube', 'kinds', 'lib'] },
  instancetype: { values: ['kinds', 'lib'], types: ['store'] },
  quota: { values: ['kinds', 'lib'], types: ['store'] },
  subresources: { values: ['instancetype', 'kinds', 'lib'], types: ['store', 'rpc', 'auth'] },
  admission: { values: ['instancetype', 'kinds', 'lib'], types: ['store', 'auth'] },
  embedded: { values: ['auth', 'admission', 'quota', 'store', 'kinds', 'lib'] },
  controllers: { values: ['instancetype', 'quota', 'metrics', 'kinds', 'lib'], types: ['store', 'rpc'] },
  worker: { values: ['rpc', 'qemu', 'metrics', 'kinds', 'lib'] },
  http: {
    values: ['auth', 'subresources', 'admission', 'kinds', 'lib'],
    types: ['store', 'rpc', 'metrics'],
  },
  cli: { values: ['admission', 'kube', 'kinds', 'lib'], types: ['store'] },
}

interface Import {
  file: string
  from: string
  to: string
  typeOnly: boolean
}

function specifiers(code: string): string[] {
  return [...code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)].map((match) => match[1] ?? '')
}

function importsOf(file: string): Import[] {
  const source = readFileSync(file, 'utf8')
  const values = new Set(specifiers(stripTypeScriptTypes(source)))
  return specifiers(source).map((specifier) => {
    const target = normalize(join(dirname(file), specifier))
    return { file, from: folderOf(file), to: folderOf(target), typeOnly: !values.has(specifier) }
  })
}

/** The folder of `src` a path lies in; '' for a file directly in `src`; the top folder for one outside. */
function folderOf(path: string): string {
  const [top = '', second = '', ...rest] = path.split(sep)
  if (top !== 'src') return top
  return rest.length > 0 ? second : ''
}

const files = globSync('src/**/*.ts')

test('the table names every folder of src that holds code', () => {
  const folders = new Set(files.map(folderOf).filter((folder) => folder !== '' && folder !== 'roles'))
  expect([...folders].filter((folder) => !(folder in TABLE))).toEqual([])
})

test('folders import only what the table allows', () => {
  const wrong = files
    .flatMap(importsOf)
    .filter(({ from, to, typeOnly }) => {
      if (from === to || from === 'roles' || from === '') return false
      const allowed = TABLE[from]
      return !(allowed?.values.includes(to) || (typeOnly && allowed?.types?.includes(to)))
    })
    .map(({ file, to, typeOnly }) => {
      const form = typeOnly ? 'the types of' : 'values from'
      return `${file} imports ${form} ${to}: take an interface instead and let src/roles hand the part in`
    })
  expect(wrong).toEqual([])
})

test('roles leave the command line alone', () => {
  expect(
    files
      .flatMap(importsOf)
      .filter(({ from, to }) => from === 'roles' && to === 'cli')
      .map(({ file }) => file),
  ).toEqual([])
})

test.each([
  // An import of it loads `fetch` and WebSocket, too; types cost nothing.
  ['node:http', []],
  ['undici', []],
  ['yaml', ['src/cli/', 'src/start.ts']],
])('%s, which takes some MiB, is imported by nobody who stays', (name, allowed) => {
  const imports = new RegExp(`from '${name}'`)
  const found = files.filter((file) => imports.test(stripTypeScriptTypes(readFileSync(file, 'utf8'))))
  expect(found.filter((file) => !allowed.some((path) => file.startsWith(path)))).toEqual([])
})
