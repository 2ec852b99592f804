import { expect, test } from 'vitest'
import type { GuestReport, NodeUpdate } from '../../src/rpc/actions.ts'
import { Watchers } from '../../src/worker/watchers.ts'

function reportOf(uid: string, message: string): GuestReport {
  return {
    guest: { uid, namespace: 'default', name: uid },
    epoch: 1,
    phase: 'Running',
    message,
    conditions: [],
    status: {},
    events: [],
  }
}

/** What a watcher that has just begun to read finds. */
async function readAll(updates: AsyncIterator<NodeUpdate>, count: number): Promise<unknown[]> {
  const found: unknown[] = []
  for (let index = 0; index < count; index += 1) {
    const { value } = await updates.next()
    const update: NodeUpdate = value
    if (update.type === 'report') found.push([update.guest.guest.uid, update.guest.message])
    else if (update.type === 'removed') found.push([update.guest.uid, 'removed'])
    else found.push(update.type)
  }
  return found
}

test('a watcher gets a snapshot, then of each guest the latest report, and its removal after that', async () => {
  const watchers = new Watchers()
  const stop = new AbortController()
  const updates = watchers.watch(() => [], stop.signal)
  expect(await readAll(updates, 1)).toEqual(['snapshot'])
  const publish = (guest: GuestReport) => watchers.publish({ type: 'report', guest })
  publish(reportOf('a', '1'))
  publish(reportOf('b', '1'))
  publish(reportOf('a', '2'))
  watchers.publish({ type: 'removed', guest: reportOf('b', '').guest })
  watchers.publish({ type: 'removed', guest: reportOf('c', '').guest })
  expect(await readAll(updates, 4)).toEqual([
    ['a', '2'],
    ['b', '1'],
    ['b', 'removed'],
    ['c', 'removed'],
  ])
  const next = updates.next()
  publish(reportOf('a', '3'))
  expect((await next).value).toMatchObject({ guest: { message: '3' } })
  const last = updates.next()
  stop.abort()
  expect((await last).done).toBe(true)
})

test('what happens while the snapshot is being read is not missed', async () => {
  const watchers = new Watchers()
  const stop = new AbortController()
  const updates = watchers.watch(() => [reportOf('a', '1')], stop.signal)
  const first = updates.next()
  watchers.publish({ type: 'report', guest: reportOf('a', '2') })
  expect((await first).value).toMatchObject({ type: 'snapshot' })
  expect((await updates.next()).value).toMatchObject({ guest: { message: '2' } })
  stop.abort()
})
