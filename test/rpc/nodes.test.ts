import { afterEach, expect, test } from 'vitest'
import type { Clock } from '../../src/lib/clock.ts'
import { NodeDirectory } from '../../src/rpc/nodes.ts'
import { withHeartbeat } from '../../src/rpc/heartbeat.ts'
import type { NodeUpdate } from '../../src/rpc/actions.ts'
import { memoryLog } from '../helpers/api.ts'
import { RecordingWorker, GUEST } from '../helpers/recording-worker.ts'

/** Time that moves when it is told to, and lets everything that follows happen. */
function manualClock(): Clock & { pass(ms: number): Promise<void> } {
  let now = 0
  let timers: { at: number; run: () => void }[] = []
  return {
    now: () => now,
    after(delayMs, run) {
      const timer = { at: now + delayMs, run }
      timers.push(timer)
      return { [Symbol.dispose]: () => void (timers = timers.filter((other) => other !== timer)) }
    },
    async pass(ms) {
      now += ms
      const due = timers.filter(({ at }) => at <= now)
      timers = timers.filter(({ at }) => at > now)
      for (const { run } of due) run()
      await settle()
    },
  }
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

const open: Disposable[] = []
afterEach(() => {
  for (const thing of open.splice(0)) thing[Symbol.dispose]()
})

function directory() {
  const clock = manualClock()
  const nodes = new NodeDirectory(memoryLog(), clock)
  open.push(nodes)
  const changes: string[][] = []
  nodes.onChange(() => changes.push(nodes.ready()))
  return { nodes, clock, changes }
}

test('a node that answers is found from then on', async () => {
  const { nodes, changes } = directory()
  const worker = new RecordingWorker()
  const registering = nodes.register('n1', worker)
  expect([nodes.find('n1'), nodes.ready()]).toEqual([undefined, []])
  await registering
  expect(nodes.find('n1')).toBe(worker)
  expect(nodes.find('n2')).toBeUndefined()
  expect(changes).toEqual([['n1']])
})

test('one lost answer is forgiven, two are not, and the node comes back when it answers', async () => {
  const { nodes, clock, changes } = directory()
  const worker = new RecordingWorker()
  await nodes.register('n1', worker)
  worker.failure = new Error('gone')
  await clock.pass(10_000)
  expect(nodes.ready()).toEqual(['n1'])
  await clock.pass(2_000)
  expect([nodes.find('n1'), nodes.ready()]).toEqual([undefined, []])
  await clock.pass(2_000)
  worker.failure = undefined
  await clock.pass(2_000)
  expect(nodes.find('n1')).toBe(worker)
  expect(changes).toEqual([['n1'], [], ['n1']])
})

test('a node that does not answer at first is waited for', async () => {
  const { nodes, clock, changes } = directory()
  const worker = new RecordingWorker()
  worker.failure = new Error('not yet')
  await nodes.register('n1', worker)
  expect(nodes.ready()).toEqual([])
  worker.failure = undefined
  await clock.pass(2_000)
  expect(changes).toEqual([['n1']])
})

test('a node that is enrolled again takes the place of the one before', async () => {
  const { nodes, clock } = directory()
  const [before, after] = [new RecordingWorker(), new RecordingWorker()]
  await nodes.register('n1', before)
  await nodes.register('n1', after)
  expect(nodes.find('n1')).toBe(after)
  const asked = before.asked.length
  await clock.pass(10_000)
  expect(before.asked).toHaveLength(asked)
})

test('a node that was forgotten is neither found nor asked', async () => {
  const { nodes, clock, changes } = directory()
  const worker = new RecordingWorker()
  await nodes.register('n1', worker)
  nodes.unregister('n1')
  await clock.pass(60_000)
  expect(nodes.find('n1')).toBeUndefined()
  expect(worker.asked).toEqual([['info']])
  expect(changes).toEqual([['n1'], []])
})

test('who listens no longer is not called', async () => {
  const { nodes } = directory()
  let calls = 0
  const stop = nodes.onChange(() => {
    calls += 1
  })
  stop()
  await nodes.register('n1', new RecordingWorker())
  expect(calls).toBe(0)
})

test('a watch on which nothing happens beats, and goes on where it was', async () => {
  const clock = manualClock()
  const worker = new RecordingWorker()
  const stop = new AbortController()
  const updates = withHeartbeat((signal) => worker.watch(signal), clock, stop.signal)
  const next = async (): Promise<NodeUpdate['type'] | undefined> => {
    const { value } = await updates.next()
    return value?.type
  }
  expect(await next()).toBe('snapshot')
  const second = next()
  await settle()
  await clock.pass(10_000)
  expect(await second).toBe('heartbeat')
  const third = next()
  await settle()
  worker.tell({ type: 'removed', guest: GUEST })
  expect(await third).toBe('removed')
  stop.abort()
  expect(await next()).toBeUndefined()
  expect(worker.watchers).toBe(0)
})
