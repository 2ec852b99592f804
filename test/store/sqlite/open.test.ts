import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { KubeObject } from '../../../src/kinds/meta.ts'
import { DatabaseFailure } from '../../../src/store/sqlite/failure.ts'
import { openFile } from '../../../src/store/sqlite/file.ts'
import { openObjectDatabase } from '../../../src/store/sqlite/open.ts'
import type { Change, ObjectDatabase } from '../../../src/store/sqlite/rows.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'virtgate-database-'))
  file = join(folder, 'objects.db')
})
afterEach(() => rmSync(folder, { recursive: true }))

const thing = (name: string, value = 0, namespace = 'a'): KubeObject & { value: number } => ({
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { name, namespace, uid: `uid-${namespace}-${name}`, creationTimestamp: '', resourceVersion: '' },
  value,
})
const put = (database: ObjectDatabase, name: string, value = 0, namespace = 'a', kind = 'things') =>
  database.write((transaction) => transaction.put(kind, thing(name, value, namespace)))
const remove = (database: ObjectDatabase, name: string) =>
  database.write((transaction) => transaction.remove({ kind: 'things', namespace: 'a', name }))
const namesAt = (database: ObjectDatabase, revision?: number) =>
  database
    .list({ kind: 'things', ...(revision !== undefined && { revision }) })
    .map(({ name, json }) => `${name}=${(JSON.parse(json) as { value: number }).value}`)

test('an acknowledged write survives the death of its process', async () => {
  const child = spawn(process.execPath, ['test/programs/write-objects.ts', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const acknowledged: string[] = []
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => {
    acknowledged.push(line)
    if (acknowledged.length === 25) child.kill('SIGKILL')
  })
  const [, signal] = (await once(child, 'close')) as [number | null, string | null]
  expect(signal).toBe('SIGKILL')
  using database = openObjectDatabase({ file })
  const found = new Set(database.list({ kind: 'things' }).map(({ name }) => name))
  expect(acknowledged.length).toBeGreaterThanOrEqual(25)
  expect(acknowledged.filter((name) => !found.has(name))).toEqual([])
  expect(database.revision()).toBe(found.size)
  expect(database.changesSince('things', 0)).toHaveLength(found.size)
})

test.each([
  ['full', 2],
  ['normal', 1],
] as const)('%s durability is what SQLite calls %i, with a write-ahead log', (durability, level) => {
  const raw = openFile(file, durability)
  expect(raw.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: level })
  expect(raw.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' })
  raw.close()
})

test('revisions rise over all kinds, go on after a reopen, and stand in the objects', async () => {
  {
    using database = openObjectDatabase({ file })
    expect((await put(database, 'x')).metadata.resourceVersion).toBe('1')
    expect((await put(database, 'y', 0, 'b', 'others')).metadata.resourceVersion).toBe('2')
    await remove(database, 'x')
  }
  using database = openObjectDatabase({ file })
  expect(database.revision()).toBe(3)
  expect((await put(database, 'z')).metadata.resourceVersion).toBe('4')
  expect(database.get({ kind: 'things', namespace: 'a', name: 'z' })).toMatchObject({
    revision: 4,
    uid: 'uid-a-z',
  })
  expect(database.findByUid('uid-a-z')?.name).toBe('z')
})

test('two objects never share a UID', async () => {
  using database = openObjectDatabase({ file: ':memory:' })
  await put(database, 'x')
  await expect(put(database, 'x', 0, 'a', 'others')).rejects.toThrow(DatabaseFailure)
  expect(database.findByUid('uid-a-x')?.kind).toBe('things')
})

test('a list shows the rows as they were at any revision that is kept', async () => {
  using database = openObjectDatabase({ file: ':memory:' })
  await put(database, 'a', 1)
  await put(database, 'b', 1)
  await put(database, 'a', 2)
  await remove(database, 'b')
  await put(database, 'b', 9)
  await put(database, 'c', 1, 'b')
  const states = [0, 1, 2, 3, 4, 5, 6].map((revision) => namesAt(database, revision))
  expect(states).toEqual([
    [],
    ['a=1'],
    ['a=1', 'b=1'],
    ['a=2', 'b=1'],
    ['a=2'],
    ['a=2', 'b=9'],
    ['a=2', 'b=9', 'c=1'],
  ])
  expect(namesAt(database)).toEqual(states[6])
  expect(database.list({ kind: 'things', namespace: 'b', revision: 6 })).toHaveLength(1)
  expect(database.list({ kind: 'things', namespace: 'b', revision: 5 })).toHaveLength(0)
  expect(database.count({ kind: 'things', revision: 5 })).toBe(2)
  expect(database.count({ kind: 'things', after: { namespace: 'a', name: 'a' } })).toBe(2)
})

test('pages follow each other in order of namespace and name', async () => {
  using database = openObjectDatabase({ file: ':memory:' })
  for (const [namespace, name] of [
    ['b', 'a'],
    ['a', 'z'],
    ['a', 'b'],
    ['c', 'a'],
  ] as const)
    await put(database, name, 0, namespace)
  const first = database.list({ kind: 'things', limit: 2 })
  expect(first.map(({ namespace, name }) => namespace + name)).toEqual(['ab', 'az'])
  const rest = database.list({ kind: 'things', after: { namespace: 'a', name: 'z' }, limit: 5 })
  expect(rest.map(({ namespace, name }) => namespace + name)).toEqual(['ba', 'ca'])
})

test('the log tells each change as it was told when it happened', async () => {
  using database = openObjectDatabase({ file })
  const told: Change[] = []
  using _subscription = database.subscribe((changes) => void told.push(...changes))
  await put(database, 'a', 1)
  await put(database, 'a', 2)
  await Promise.all([put(database, 'b', 1), remove(database, 'a'), put(database, 'b', 2)])
  await put(database, 'a', 3)
  expect(told.map(({ revision, type, name }) => [revision, type, name])).toEqual([
    [1, 'ADDED', 'a'],
    [2, 'MODIFIED', 'a'],
    [3, 'ADDED', 'b'],
    [4, 'DELETED', 'a'],
    [5, 'MODIFIED', 'b'],
    [6, 'ADDED', 'a'],
  ])
  expect(database.changesSince('things', 0)).toEqual(told)
  expect(database.changesSince('things', 4)).toEqual(told.slice(4))
  expect(JSON.parse(told[3]?.json ?? '')).toMatchObject({ value: 2, metadata: { resourceVersion: '4' } })
  expect(JSON.parse(told[3]?.previousJson ?? '')).toMatchObject({
    value: 2,
    metadata: { resourceVersion: '2' },
  })
})

test('a step that throws undoes its own writes alone', async () => {
  using database = openObjectDatabase({ file: ':memory:' })
  const told: number[] = []
  using _subscription = database.subscribe(
    (changes) => void told.push(...changes.map(({ revision }) => revision)),
  )
  const results = await Promise.allSettled([
    put(database, 'a'),
    database.write((transaction) => {
      transaction.put('things', thing('b'))
      throw new Error('changed my mind')
    }),
    put(database, 'c'),
  ])
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(results[1]).toMatchObject({ reason: { message: 'changed my mind' } })
  expect(namesAt(database)).toEqual(['a=0', 'c=0'])
  expect(told).toEqual([1, 2])
  expect(database.revision()).toBe(2)
})

test('writes that wait together share a commit', async () => {
  using database = openObjectDatabase({ file })
  const commits: number[] = []
  using _subscription = database.subscribe((changes) => void commits.push(changes.length))
  await Promise.all(Array.from({ length: 50 }, (_value, number) => put(database, `n${number}`)))
  expect(commits).toEqual([50])
})

test('old changes are forgotten by number and by age, and the revision tells up to where', async () => {
  let now = 0
  const clock = { now: () => now }
  {
    using database = openObjectDatabase({ file, clock, retention: { changes: 100, ageMs: 1000 } })
    await Promise.all(
      Array.from({ length: 450 }, (_value, number) => put(database, `n${number % 7}`, number)),
    )
    expect(database.compactedRevision()).toBe(0)
    await Promise.all(Array.from({ length: 50 }, (_value, number) => put(database, `n${number % 7}`, number)))
    expect(database.compactedRevision()).toBe(400)
    expect(database.changesSince('things', 400)).toHaveLength(100)
    expect(database.list({ kind: 'things', revision: 400 })).toHaveLength(7)
  }
  now = 5000
  using reopened = openObjectDatabase({ file, clock, retention: { changes: 100, ageMs: 1000 } })
  expect(reopened.compactedRevision()).toBe(500)
  expect(reopened.revision()).toBe(500)
  expect(reopened.list({ kind: 'things' })).toHaveLength(7)
})

test('a file of a newer version is refused by name, with what to do', () => {
  openObjectDatabase({ file })[Symbol.dispose]()
  const raw = new DatabaseSync(file)
  raw.exec('PRAGMA user_version = 99')
  raw.close()
  expect(() => openObjectDatabase({ file })).toThrow(DatabaseFailure)
  expect(() => openObjectDatabase({ file })).toThrow(
    `${file} was written by a newer virtgate (tables 99, this one knows 1)`,
  )
})

test('a database of another program is refused and left alone', () => {
  const raw = new DatabaseSync(file)
  raw.exec('CREATE TABLE cats (name TEXT)')
  raw.close()
  expect(() => openObjectDatabase({ file })).toThrow(`${file} is the database of another program`)
  const again = new DatabaseSync(file)
  expect(again.prepare('SELECT name FROM sqlite_schema').all()).toEqual([{ name: 'cats' }])
  again.close()
})

test.each([
  ['no database', () => writeFileSync(file, 'x'.repeat(5000)), 'it is no database: put back a copy'],
  ['cut in half', () => truncateSync(file, Math.floor(statSync(file).size / 2)), 'damaged'],
  [
    'overwritten in the middle',
    () => {
      const bytes = readFileSync(file)
      bytes.fill(0x5a, 4096, 12_288)
      writeFileSync(file, bytes)
    },
    'damaged',
  ],
])('a file that is %s is refused by name, with what to do', async (_state, spoil, words) => {
  {
    using database = openObjectDatabase({ file })
    await Promise.all(Array.from({ length: 200 }, (_value, number) => put(database, `n${number}`)))
  }
  spoil()
  expect(() => openObjectDatabase({ file })).toThrow(DatabaseFailure)
  expect(() => openObjectDatabase({ file })).toThrow(file)
  expect(() => openObjectDatabase({ file })).toThrow(words)
})

test('a second opening is refused while the first lasts', () => {
  {
    using _first = openObjectDatabase({ file })
    expect(() => openObjectDatabase({ file })).toThrow(`cannot use the database ${file}`)
    expect(() => openObjectDatabase({ file })).toThrow('another process has it open')
  }
  openObjectDatabase({ file })[Symbol.dispose]()
})

test('a directory that is not there is named', () => {
  expect(() => openObjectDatabase({ file: join(folder, 'none', 'x.db') })).toThrow(
    'check that its directory exists',
  )
})

test('a write that waits when the database is closed is kept, a later one is refused', async () => {
  const database = openObjectDatabase({ file })
  const waiting = put(database, 'a')
  database[Symbol.dispose]()
  await waiting
  await expect(put(database, 'b')).rejects.toThrow(`${file} is closed`)
  using reopened = openObjectDatabase({ file })
  expect(namesAt(reopened)).toEqual(['a=0'])
})

test('objects that nobody has written to for a while are found', async () => {
  let now = 1000
  using database = openObjectDatabase({ file: ':memory:', clock: { now: () => now } })
  await put(database, 'old')
  await put(database, 'touched')
  now = 2000
  await put(database, 'touched', 1)
  expect(database.listWrittenBefore('things', 1500)).toEqual([
    { kind: 'things', namespace: 'a', name: 'old' },
  ])
})

test('nobody but its owner can read the files of the database', async () => {
  using database = openObjectDatabase({ file })
  await put(database, 'secret')
  for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o077).toBe(0)
  expect(readdirSync(folder)).not.toEqual([])
})
