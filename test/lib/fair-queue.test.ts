import { expect, test } from 'vitest'
import { FairQueue, type Turn } from '../../src/lib/fair-queue.ts'

const never = new AbortController().signal

/** Enters for a flow; notes in `begun` when its turn has come. */
function enter(
  queue: FairQueue,
  flow: string,
  begun: [string, Turn][],
  signal = never,
): Promise<Turn | undefined> {
  const entered = queue.enter(flow, signal)
  void entered.then(
    (turn) => turn && begun.push([flow, turn]),
    () => {},
  )
  return entered
}

test('each flow gets one turn after the other, however much it asks for', async () => {
  const queue = new FairQueue({ atOnce: 1, atOncePerFlow: 1, waitingPerFlow: 10 })
  const begun: [string, Turn][] = []
  for (const flow of ['a', 'a', 'a', 'a', 'b', 'b', 'c']) void enter(queue, flow, begun)
  for (let turns = 0; turns < 7; turns++) {
    await expect.poll(() => begun.length).toBe(turns + 1)
    begun[turns]?.[1][Symbol.dispose]()
  }
  expect(begun.map(([flow]) => flow).join('')).toBe('aabcaba')
})

test('a flow has no more at work than its share, and what waits behind it is not held up', async () => {
  const queue = new FairQueue({ atOnce: 3, atOncePerFlow: 2, waitingPerFlow: 10 })
  const begun: [string, Turn][] = []
  for (const flow of ['a', 'a', 'a', 'b', 'b']) void enter(queue, flow, begun)
  await expect.poll(() => begun.map(([flow]) => flow)).toEqual(['a', 'a', 'b'])
  const turn = begun[2]?.[1]
  turn?.[Symbol.dispose]()
  // Twice is once.
  turn?.[Symbol.dispose]()
  await expect.poll(() => begun.map(([flow]) => flow)).toEqual(['a', 'a', 'b', 'b'])
})

test('who finds too many of the own flow waiting is turned away', async () => {
  const queue = new FairQueue({ atOnce: 1, atOncePerFlow: 1, waitingPerFlow: 1 })
  const begun: [string, Turn][] = []
  await enter(queue, 'a', begun)
  void enter(queue, 'a', begun)
  expect(await enter(queue, 'a', begun)).toBeUndefined()
  void enter(queue, 'b', begun)
  begun[0]?.[1][Symbol.dispose]()
  await expect.poll(() => begun.map(([flow]) => flow)).toEqual(['a', 'a'])
})

test('who gives up leaves the queue', async () => {
  const queue = new FairQueue({ atOnce: 1, atOncePerFlow: 1, waitingPerFlow: 1 })
  const begun: [string, Turn][] = []
  await enter(queue, 'a', begun)
  const impatient = new AbortController()
  const waiting = enter(queue, 'a', begun, impatient.signal)
  impatient.abort(new Error('gone'))
  await expect(waiting).rejects.toThrow('gone')
  await expect(enter(queue, 'a', begun, impatient.signal)).rejects.toThrow('gone')
  const next = enter(queue, 'a', begun)
  begun[0]?.[1][Symbol.dispose]()
  expect(await next).toBeDefined()
})
