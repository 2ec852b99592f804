import { expect, test } from 'vitest'
import type { ServedEvent, WatchOptions } from '../../../src/embedded/api.ts'
import type { AnyObject } from '../../../src/embedded/parts.ts'
import type { Kind } from '../../../src/kinds/kind.ts'
import { CONFIGMAPS, VMS } from '../../../src/kinds/table.ts'
import { StatusError } from '../../../src/lib/errors.ts'
import { openObjectDatabase } from '../../../src/store/sqlite/open.ts'
import { createFakeClock } from '../../helpers/fake-clock.ts'
import { asAdmin, openRegistry } from '../../helpers/object-registry.ts'

type Opened = Awaited<ReturnType<typeof openRegistry>>

const body = (name: string, labels: Record<string, string>) =>
  ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels } }) as unknown as AnyObject
const create = (r: Opened, name: string, labels: Record<string, string> = {}, namespace = 'default') =>
  r.api.create(CONFIGMAPS, namespace, body(name, labels), asAdmin())
const label = (r: Opened, name: string, labels: Record<string, string | null>) =>
  r.api.patch(CONFIGMAPS, 'default', name, 'merge', { metadata: { labels } }, asAdmin())
const remove = (r: Opened, name: string) => r.api.delete(CONFIGMAPS, 'default', name, {}, asAdmin())
const versionOf = (r: Opened) => String(r.database.revision())

/** A watch that is read on demand. */
function watch(r: Opened, options: Partial<WatchOptions> = {}, kind: Kind = CONFIGMAPS) {
  const abort = new AbortController()
  const events = r.api.watch(kind, { resourceVersion: versionOf(r), ...options }, abort.signal)
  const iterator = events[Symbol.asyncIterator]()
  const next = async () => {
    const result = await iterator.next()
    return result.done ? 'end' : result.value
  }
  const take = async (count: number) => {
    const events: ServedEvent[] = []
    for (let index = 0; index < count; index++) {
      const event = await next()
      if (event !== 'end') events.push(event)
    }
    return events.map(
      ({ type, object }) => `${type} ${object.metadata.name ?? object.metadata.resourceVersion}`,
    )
  }
  return { next, take, abort: () => abort.abort(), iterator }
}

test('a watch tells each change once, in order, with the JSON that others get', async () => {
  using r = await openRegistry()
  const [one, two] = [watch(r), watch(r)]
  await create(r, 'a')
  await label(r, 'a', { x: '1' })
  await remove(r, 'a')
  expect(await one.take(3)).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a'])
  const first = await two.next()
  if (first === 'end') throw new Error('the watch ended')
  expect(JSON.parse(first.json)).toEqual(first.object)
  one.abort()
  expect(await one.next()).toBe('end')
})

test('a deleted object is shown as it last stood, with the version of its deletion', async () => {
  using r = await openRegistry()
  const created = await create(r, 'a', { x: '1' })
  const watching = watch(r)
  await remove(r, 'a')
  const event = await watching.next()
  expect(event).toMatchObject({
    type: 'DELETED',
    object: { metadata: { labels: { x: '1' }, uid: created.metadata.uid, resourceVersion: versionOf(r) } },
  })
})

test('a watch from an earlier version tells what was missed, also after a restart', async () => {
  const database = openObjectDatabase({ file: ':memory:' })
  using r = await openRegistry({ database })
  const version = versionOf(r)
  await create(r, 'a')
  await create(r, 'b')
  await remove(r, 'a')
  // Another registry on the same file, as after a restart: nothing was kept in memory.
  using restarted = await openRegistry({ database })
  const watching = watch(restarted, { resourceVersion: version })
  await create(restarted, 'c')
  expect(await watching.take(4)).toEqual(['ADDED a', 'ADDED b', 'DELETED a', 'ADDED c'])
})

test('an object that comes to match or no longer does is shown to come and go', async () => {
  using r = await openRegistry()
  const version = versionOf(r)
  const live = watch(r, { labelSelector: 'x=1' })
  await create(r, 'a')
  await label(r, 'a', { x: '1' })
  await label(r, 'a', { y: '1' })
  await label(r, 'a', { x: '2' })
  await label(r, 'a', { y: '2' })
  await create(r, 'b', { x: '1' })
  await remove(r, 'a')
  await remove(r, 'b')
  const expected = ['ADDED a', 'MODIFIED a', 'DELETED a', 'ADDED b', 'DELETED b']
  expect(await live.take(5)).toEqual(expected)
  expect(await watch(r, { labelSelector: 'x=1', resourceVersion: version }).take(5)).toEqual(expected)
})

test('what goes by selection is shown as it last matched', async () => {
  using r = await openRegistry()
  await create(r, 'a', { x: '1' })
  const watching = watch(r, { labelSelector: 'x=1' })
  const { metadata } = await label(r, 'a', { x: '2' })
  expect(await watching.next()).toMatchObject({
    type: 'DELETED',
    object: { metadata: { labels: { x: '1' }, resourceVersion: metadata.resourceVersion } },
  })
})

test('a watch keeps to its kind, its namespace and its fields', async () => {
  using r = await openRegistry()
  const watching = watch(r, { namespace: 'default' })
  const named = watch(r, { fieldSelector: 'metadata.name=c' })
  await create(r, 'a', {}, 'kube-public')
  await r.api.create(VMS, 'default', { metadata: { name: 'v' }, spec: {} } as unknown as AnyObject, asAdmin())
  await create(r, 'b')
  await create(r, 'c')
  expect(await watching.take(2)).toEqual(['ADDED b', 'ADDED c'])
  expect(await named.take(1)).toEqual(['ADDED c'])
})

test.each(['', '0'])('a watch from version %j begins with what is there', async (resourceVersion) => {
  using r = await openRegistry()
  await create(r, 'a')
  const watching = watch(r, { resourceVersion })
  await create(r, 'b')
  expect(await watching.take(2)).toEqual(['ADDED a', 'ADDED b'])
})

test('initial events end with a bookmark that says so', async () => {
  using r = await openRegistry()
  await create(r, 'a')
  const watching = watch(r, { resourceVersion: '', sendInitialEvents: true, allowWatchBookmarks: true })
  expect(await watching.take(1)).toEqual(['ADDED a'])
  const bookmark = await watching.next()
  expect(bookmark).toMatchObject({
    type: 'BOOKMARK',
    object: {
      kind: 'ConfigMap',
      apiVersion: 'v1',
      metadata: { resourceVersion: versionOf(r), annotations: { 'k8s.io/initial-events-end': 'true' } },
    },
  })
  await create(r, 'b')
  expect(await watching.take(1)).toEqual(['ADDED b'])
  watching.abort()
})

const MANY = Array.from({ length: 250 }, (_, n) => `map-${String(n).padStart(3, '0')}`)

test('what was there is told as it was when the watch began, however long that takes; changes come after', async () => {
  using r = await openRegistry()
  for (const name of MANY) await create(r, name, { x: '1' })
  const watching = watch(r, { resourceVersion: '0', labelSelector: 'x=1' })
  expect(await watching.take(10)).toEqual(MANY.slice(0, 10).map((name) => `ADDED ${name}`))
  const last = MANY.at(-1) ?? ''
  await label(r, last, { x: '2' })
  await remove(r, MANY[200] ?? '')
  await create(r, 'new', { x: '1' })
  expect(await watching.take(240)).toEqual(MANY.slice(10).map((name) => `ADDED ${name}`))
  expect(await watching.take(3)).toEqual([`DELETED ${last}`, `DELETED ${MANY[200]}`, 'ADDED new'])
})

test('whoever leaves while it is told what was there is told nothing more', async () => {
  using r = await openRegistry()
  for (const name of MANY) await create(r, name)
  const watching = watch(r, { resourceVersion: '0' })
  await watching.take(100)
  const [next] = await Promise.all([watching.next(), watching.iterator.return?.()])
  expect([next, await watching.next()]).toEqual(['end', 'end'])
})

test('whoever takes so long that what was there is forgotten has to begin anew', async () => {
  const database = openObjectDatabase({ file: ':memory:', retention: { ageMs: 1e9, changes: 10 } })
  using r = await openRegistry({ database })
  for (const name of MANY) await create(r, name)
  const watching = watch(r, { resourceVersion: '0' })
  await watching.take(100)
  for (let n = 0; database.compactedRevision() < MANY.length + 10; n++)
    await label(r, 'map-000', { n: `${n}` })
  await expect(watching.take(1)).rejects.toMatchObject({ code: 410, reason: 'Expired' })
})

test('a watch that asks for no initial events begins now', async () => {
  using r = await openRegistry()
  await create(r, 'a')
  const watching = watch(r, { resourceVersion: '', sendInitialEvents: false })
  await create(r, 'b')
  expect(await watching.take(1)).toEqual(['ADDED b'])
})

test('bookmarks come at intervals and at the end, and no timer stays behind', async () => {
  const clock = createFakeClock()
  using r = await openRegistry({ clock })
  const watching = watch(r, { allowWatchBookmarks: true })
  const plain = watch(r)
  await r.api.create(VMS, 'default', { metadata: { name: 'v' }, spec: {} } as unknown as AnyObject, asAdmin())
  clock.advance(60_000)
  expect(await watching.take(1)).toEqual([`BOOKMARK ${versionOf(r)}`])
  await create(r, 'hidden', {}, 'kube-public')
  await create(r, 'a')
  expect(await watching.take(2)).toEqual(['ADDED hidden', 'ADDED a'])
  clock.advance(60_000)
  expect(await watching.take(1)).toEqual([`BOOKMARK ${versionOf(r)}`])
  watching.abort()
  expect(await watching.next()).toBe('end')
  expect(await plain.take(2)).toEqual(['ADDED hidden', 'ADDED a'])
  plain.abort()
  expect(await plain.next()).toBe('end')
  expect(clock.pending()).toBe(0)
})

test('a watch that saw nothing of what happened ends with a bookmark for it', async () => {
  using r = await openRegistry()
  const watching = watch(r, { allowWatchBookmarks: true, namespace: 'kube-public' })
  await create(r, 'a')
  const version = versionOf(r)
  watching.abort()
  expect(await watching.take(2)).toEqual([`BOOKMARK ${version}`])
})

test('a reader that is too slow gets what waited for it, and then the end', async () => {
  using r = await openRegistry({ watchBufferLength: 3 })
  for (const name of ['p1', 'p2', 'p3', 'p4', 'p5']) await create(r, name)
  const slow = watch(r, { resourceVersion: '0' })
  for (const name of ['a', 'b', 'c', 'd', 'e']) await create(r, name)
  expect(await slow.take(9)).toEqual(
    ['p1', 'p2', 'p3', 'p4', 'p5', 'a', 'b', 'c'].map((name) => `ADDED ${name}`),
  )
  expect(await slow.next()).toBe('end')
})

test('what was there at the beginning counts no longer once it is read', async () => {
  using r = await openRegistry({ watchBufferLength: 2 })
  for (const name of ['p1', 'p2', 'p3']) await create(r, name)
  const slow = watch(r, { resourceVersion: '0' })
  await slow.take(3)
  for (const name of ['a', 'b', 'c', 'd']) await create(r, name)
  expect(await slow.take(4)).toEqual(['ADDED a', 'ADDED b'])
})

test('a reader that leaves is no longer listened for', async () => {
  const clock = createFakeClock()
  using r = await openRegistry({ clock })
  await create(r, 'a')
  const abort = new AbortController()
  for await (const event of r.api.watch(
    CONFIGMAPS,
    { resourceVersion: '0', allowWatchBookmarks: true },
    abort.signal,
  )) {
    expect(event.type).toBe('ADDED')
    break
  }
  expect(clock.pending()).toBe(0)
})

test('a watch that is aborted before it begins ends at once', async () => {
  using r = await openRegistry()
  const events = r.api.watch(CONFIGMAPS, { resourceVersion: versionOf(r) }, AbortSignal.abort())
  expect(await events[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined })
})

const refusal = (run: () => unknown) => {
  try {
    run()
  } catch (error) {
    if (error instanceof StatusError) return error.toStatus()
    throw error
  }
  throw new Error('was not refused')
}

test('a version that is too old, or newer than all, has to list again', async () => {
  const database = openObjectDatabase({ file: ':memory:', retention: { changes: 10, ageMs: 1e9 } })
  using r = await openRegistry({ database })
  await Promise.all(Array.from({ length: 600 }, (_value, number) => create(r, `n${number}`)))
  expect(refusal(() => watch(r, { resourceVersion: '5' }))).toMatchObject({ code: 410, reason: 'Expired' })
  expect(refusal(() => watch(r, { resourceVersion: '999999' }))).toMatchObject({
    code: 410,
    reason: 'Expired',
  })
  expect(refusal(() => watch(r, { resourceVersion: 'x' }))).toMatchObject({ code: 400 })
  expect(refusal(() => watch(r, { fieldSelector: 'spec.a=1' }))).toMatchObject({ code: 400 })
})
