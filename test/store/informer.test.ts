import { expect, onTestFinished, test } from 'vitest'
import { expired } from '../../src/lib/errors.ts'
import type { ConfigMap } from '../../src/kinds/core.ts'
import { CONFIGMAPS } from '../../src/kinds/table.ts'
import { openInformer } from '../../src/store/informer.ts'
import type { ObjectReader, ObjectWatcher, WatchEvent } from '../../src/store/store.ts'
import { createFakeClock, turn, turnUntil } from '../helpers/fake-clock.ts'
import { ADMIN, openRegistry, silentLog } from '../helpers/object-registry.ts'

function configMap(name: string, resourceVersion: string, uid = `uid-${name}`): ConfigMap {
  const metadata = { namespace: 'default', name, uid, resourceVersion, creationTimestamp: '' }
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { version: resourceVersion } }
}

/** A store of which each list and each watch is written by the test. */
function scripted(lists: (ConfigMap[] | Error)[], watches: (WatchEvent<ConfigMap> | Error)[][]) {
  const asked: string[] = []
  const source = {
    async list() {
      asked.push('list')
      const items = lists.shift() ?? []
      if (items instanceof Error) throw items
      return { items, resourceVersion: '100' }
    },
    async *watch(_kind: unknown, version: string, _selection: unknown, signal: AbortSignal) {
      asked.push(`watch ${version}`)
      const events = watches.shift()
      if (!events) await new Promise((resolve) => signal.addEventListener('abort', resolve))
      for (const event of events ?? []) {
        if (event instanceof Error) throw event
        yield event
      }
    },
    // The informer asks for ConfigMaps alone, so these answers have the type it expects.
  } as unknown as ObjectReader & ObjectWatcher
  return { asked, source }
}

function open(source: ObjectReader & ObjectWatcher) {
  const clock = createFakeClock()
  const indexes = { version: ({ data }: ConfigMap) => Object.values(data ?? {}) }
  const informer = openInformer(source, CONFIGMAPS, {}, { clock, log: silentLog, indexes })
  onTestFinished(() => informer[Symbol.asyncDispose]())
  const changes: string[] = []
  informer.onChange((before, after) => {
    const say = (one: ConfigMap | undefined) => one && `${one.metadata.name}@${one.metadata.resourceVersion}`
    changes.push(`${say(before) ?? '-'} → ${say(after) ?? '-'}`)
  })
  return { informer, clock, changes }
}

test('it follows a real store: objects created, changed and deleted before and after it was opened', async () => {
  using registry = await openRegistry()
  const store = registry.api.as(ADMIN)
  const draft = (name: string) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace: 'default', name },
  })
  await store.create(CONFIGMAPS, { ...draft('early'), data: { k: '1' } })
  const { informer } = open(store)
  await informer.synced
  expect(informer.get('default', 'early')?.data).toEqual({ k: '1' })
  await store.create(CONFIGMAPS, draft('late'))
  await turnUntil(() => informer.get('default', 'late'))
  await store.patch(CONFIGMAPS, 'default', 'early', { type: 'merge', body: { data: { k: '2' } } })
  await turnUntil(() => informer.by('version', '2').length === 1)
  expect(informer.by('version', '1')).toEqual([])
  await store.delete(CONFIGMAPS, 'default', 'early')
  await turnUntil(() => informer.get('default', 'early') === undefined)
  expect(informer.list().map(({ metadata }) => metadata.name)).toContain('late')
  await informer[Symbol.asyncDispose]()
  await store.create(CONFIGMAPS, draft('later'))
  await turn()
  expect(informer.get('default', 'later')).toBeUndefined()
})

test('the end of a watch is no error: it goes on from the last version it saw, bookmarks included', async () => {
  const bookmark = { type: 'BOOKMARK', object: configMap('', '107') } as const
  const added = { type: 'ADDED', object: configMap('a', '101') } as const
  const { asked, source } = scripted([[]], [[added, bookmark], []])
  const { informer, clock } = open(source)
  await informer.synced
  await turn()
  clock.advance(1000)
  await turn()
  expect(asked).toEqual(['list', 'watch 100', 'watch 107', 'watch 107'])
  expect(informer.list()).toHaveLength(1)
})

test('a version that is too old is answered with a new list, which also tells what is gone', async () => {
  const lists = [[configMap('a', '1'), configMap('b', '1')], [configMap('b', '2')]]
  const { asked, source } = scripted(lists, [[expired('too old')]])
  const { informer, clock, changes } = open(source)
  await informer.synced
  await turn()
  clock.advance(1000)
  await turn()
  expect(asked).toEqual(['list', 'watch 100', 'list', 'watch 100'])
  expect(changes).toEqual(['- → a@1', '- → b@1', 'a@1 → -', 'b@1 → b@2'])
})

test('lists that fail are repeated with growing delays', async () => {
  const { asked, source } = scripted([new Error('down'), new Error('down'), [configMap('a', '1')]], [])
  const { informer, clock } = open(source)
  await turn()
  clock.advance(70)
  await turn()
  expect(asked).toEqual(['list'])
  clock.advance(30)
  await turn()
  expect(asked).toEqual(['list', 'list'])
  clock.advance(200)
  await informer.synced
  expect(informer.list()).toHaveLength(1)
})

test('an object heard of twice in the same version is told once', async () => {
  const event = { type: 'MODIFIED', object: configMap('a', '1') } as const
  const { source } = scripted([[configMap('a', '1')]], [[event, event]])
  const { informer, changes } = open(source)
  await informer.synced
  await turn()
  expect(changes).toEqual(['- → a@1'])
})

test('an object made anew under the same name is told as gone and come', async () => {
  const { source } = scripted(
    [[configMap('a', '1', 'first')]],
    [[{ type: 'ADDED', object: configMap('a', '5', 'second') }]],
  )
  const { informer, changes } = open(source)
  await informer.synced
  await turn()
  expect(changes).toEqual(['- → a@1', 'a@1 → -', '- → a@5'])
})

test('a handler that throws does not keep the news from others', async () => {
  const { source } = scripted([[configMap('a', '1')]], [])
  const options = { clock: createFakeClock(), log: silentLog }
  await using informer = openInformer(source, CONFIGMAPS, {}, options)
  const seen: unknown[] = []
  informer.onChange(() => {
    throw new Error('a bug')
  })
  informer.onChange((_before, after) => seen.push(after?.metadata.name))
  await informer.synced
  expect(seen).toEqual(['a'])
})

test('an index that does not exist is a bug of the reader', async () => {
  const { informer } = open(scripted([[]], []).source)
  await informer.synced
  expect(() => informer.by('colour', 'red')).toThrow(RangeError)
})
