/**
 * Security checklist, J9: a list of ten thousand objects, over real TLS, holds nobody up: it is read, printed and sent in
 * pieces, and each turn of the event loop has one of them.
 */
import { once } from 'node:events'
import { connect, type ClientHttp2Session } from 'node:http2'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CONFIGMAPS } from '../../src/kinds/table.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { openObjectDatabase } from '../../src/store/sqlite/open.ts'
import { buildReader } from '../../src/embedded/reader.ts'
import { kindKey, type ObjectDatabase, type Transaction } from '../../src/store/sqlite/rows.ts'
import { openKubeApi, type TestKubeApi } from '../helpers/kube-api.ts'
import { makeAuthority, servingPair } from '../helpers/pki.ts'

const COUNT = 10_000
const PIECE = 100
const MAPS = '/api/v1/namespaces/default/configmaps'

let api: TestKubeApi
let client: ClientHttp2Session
let database: ObjectDatabase
/** Rows that were read, and changes that were made, by turn of the event loop. */
const read = new Map<number, number>()
const changed = new Map<number, number>()
let turn = 0

function note(counts: Map<number, number>, count: number): void {
  if (!read.has(turn) && !changed.has(turn)) setImmediate(() => (turn += 1))
  counts.set(turn, (counts.get(turn) ?? 0) + count)
}

/** The database, noting what is read and changed when. */
function observed(): ObjectDatabase {
  const database = openObjectDatabase({ file: ':memory:', clock: systemClock })
  return Object.assign(Object.create(database) as ObjectDatabase, {
    list(query: Parameters<ObjectDatabase['list']>[0]) {
      const rows = database.list(query)
      note(read, rows.length)
      return rows
    },
    write<T>(step: (transaction: Transaction) => T) {
      return database.write((transaction) => {
        note(changed, 1)
        return step(transaction)
      })
    },
  })
}

beforeAll(async () => {
  const authority = await makeAuthority()
  database = observed()
  api = await openKubeApi({ tls: await servingPair(authority), registry: { database } })
  await database.write((transaction) => {
    for (let n = 0; n < COUNT; n += 1) {
      const name = `map-${String(n).padStart(5, '0')}`
      transaction.put(kindKey(CONFIGMAPS), {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: {
          namespace: 'default',
          name,
          uid: name,
          resourceVersion: '',
          creationTimestamp: '2026-01-01T00:00:00Z',
          labels: { tenth: String(n % 10 === 0) },
        },
        data: { text: 'x'.repeat(500) },
      })
    }
  })
  const url = await api.app.listen({ port: 0, host: '127.0.0.1' })
  client = connect(url, { ca: authority.cert })
  await once(client, 'remoteSettings')
})
afterAll(async () => {
  client.destroy()
  await api[Symbol.asyncDispose]()
})

/** The JSON at a path. */
async function get(path: string, accept = 'application/json', method = 'GET') {
  const stream = client.request({
    ':method': method,
    ':path': path,
    accept,
    authorization: 'Bearer admin',
  })
  let text = ''
  stream.setEncoding('utf8')
  for await (const chunk of stream) text += String(chunk)
  return JSON.parse(text)
}

const names = (list: { items: { metadata: { name: string } }[] }) =>
  list.items.map(({ metadata }) => metadata.name)

describe('J9: ten thousand objects', () => {
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'
  const partial = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io'

  test.each([
    ['as they are', MAPS, undefined, COUNT],
    ['as a table', MAPS, table, COUNT],
    ['by their metadata', MAPS, partial, COUNT],
    ['where a selector finds a tenth', `${MAPS}?labelSelector=tenth%3Dtrue`, undefined, COUNT / 10],
    ['where a selector finds none', `${MAPS}?labelSelector=tenth%3Dnever`, undefined, 0],
    ['a page of them', `${MAPS}?limit=5000`, undefined, 5000],
  ])('%s: all are there, and no turn has more than a piece', async (_how, path, accept, count) => {
    read.clear()
    const list = await get(path, accept)
    const entries: { object?: object; metadata?: { name: string } }[] = list.rows ?? list.items
    expect(entries.length).toBe(count)
    expect(list.metadata.resourceVersion).toMatch(/^\d+$/)
    expect(list.metadata.remainingItemCount).toBe(count === 5000 ? 5000 : undefined)
    expect(Math.max(...read.values())).toBeLessThanOrEqual(2 * PIECE)
    expect(read.size).toBeGreaterThan(count / PIECE / 2)
  })

  test('of our own, as controllers read them: the same', async () => {
    read.clear()
    const { items } = await api.registry.api.list(CONFIGMAPS, {})
    expect(items.length).toBe(COUNT)
    expect(Math.max(...read.values())).toBeLessThanOrEqual(2 * PIECE)
  })

  test('as admission reads them: the same', async () => {
    read.clear()
    const { items } = await buildReader(database).list(CONFIGMAPS, { namespace: 'default' })
    expect(items.length).toBe(COUNT)
    expect(Math.max(...read.values())).toBeLessThanOrEqual(2 * PIECE)
  })

  test('are those of one version, whatever is written meanwhile', async () => {
    const stream = client.request({ ':path': MAPS, authorization: 'Bearer admin' })
    let text = ''
    stream.setEncoding('utf8')
    const store = api.registry.api.as({ name: 'writer', groups: ['system:masters'] })
    let written = 0
    for await (const chunk of stream) {
      text += String(chunk)
      if (written > 20) continue
      written += 1
      const name = `map-${String(COUNT - written).padStart(5, '0')}`
      await store.patch(CONFIGMAPS, 'default', name, { type: 'merge', body: { data: { text: 'changed' } } })
      await store.delete(CONFIGMAPS, 'default', `map-${String(COUNT - 100 - written).padStart(5, '0')}`)
    }
    expect(written).toBeGreaterThan(10)
    const { items } = JSON.parse(text)
    expect(items.length).toBe(COUNT)
    expect(text).not.toContain('changed')
  })

  test.each([
    ['all', ''],
    ['a tenth', 'labelSelector=tenth%3Dtrue'],
    ['none', 'labelSelector=tenth%3Dnever'],
  ])('%s are what a watch begins with, and no turn reads more than a piece', async (_which, selector) => {
    const before = names(await get(`${MAPS}?${selector}`))
    read.clear()
    const initial =
      'watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan'
    const stream = client.request({
      ':path': `${MAPS}?${initial}&${selector}`,
      authorization: 'Bearer admin',
    })
    const told: string[] = []
    for await (const line of createInterface({ input: stream })) {
      const { type, object } = JSON.parse(line)
      if (type === 'BOOKMARK') break
      told.push(object.metadata.name)
    }
    stream.close()
    expect(told).toEqual(before)
    expect(Math.max(...read.values())).toBeLessThanOrEqual(2 * PIECE)
    expect(read.size).toBeGreaterThan(40)
  })

  // Those of before have left some fewer.
  test.each([
    ['those that a selector finds', `${MAPS}?labelSelector=tenth%3Dtrue`, 500],
    ['all', MAPS, 5000],
  ])('%s are deleted, and no turn reads or changes more than a piece', async (_which, path, least) => {
    const before = await get(path)
    read.clear()
    changed.clear()
    const deleted = await get(path, 'application/json', 'DELETE')
    expect(names(deleted)).toEqual(names(before))
    expect(deleted.items.length).toBeGreaterThan(least)
    expect((await get(path)).items).toEqual([])
    expect(Math.max(...read.values())).toBeLessThanOrEqual(2 * PIECE)
    expect(Math.max(...changed.values())).toBeLessThanOrEqual(PIECE)
  })
})
