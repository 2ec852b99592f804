import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { deadlineFile, readDeadline, readSign } from '../../../src/worker/fence/deadline.ts'
import { openFence, type NodeFence } from '../../../src/worker/fence/fence.ts'
import { readBootId, uptimeMs } from '../../../src/worker/fence/uptime.ts'
import { eventually } from '../../helpers/server.ts'
import { silentLog } from '../../helpers/worker.ts'

let stateDir: string

beforeEach(async () => {
  stateDir = await mkdtemp('/tmp/virtgate-fence-')
  // The guard ends with its deadline.
  onTestFinished(() => rm(stateDir, { recursive: true, force: true }))
})

async function open(afterSeconds: number, promised?: number): Promise<NodeFence> {
  const dirs = { stateDir, runDir: stateDir }
  const promisedSeconds = () => promised
  const fence = await openFence({ dirs, afterSeconds, promisedSeconds, clock: systemClock, log: silentLog })
  onTestFinished(() => fence[Symbol.asyncDispose]())
  return fence
}

const proofOf = (ms: number) => `${readBootId()} ${ms}`

test('the deadline counts from when a proof was given out, and never goes back', async () => {
  const fence = await open(100)
  const givenMs = uptimeMs() - 5_000
  await fence.admit(1, proofOf(givenMs))
  expect(await readDeadline(stateDir)).toEqual({ bootId: readBootId(), atMs: givenMs + 100_000 })
  await fence.admit(1, proofOf(givenMs - 1000))
  expect((await readDeadline(stateDir))?.atMs).toBe(givenMs + 100_000)
  expect(fence.isCutOff()).toBe(false)
  const late = await open(3)
  await late.admit(1, proofOf(givenMs))
  expect(late.isCutOff()).toBe(false)
})

test.each([
  ['nothing', undefined],
  ['another start of the machine', `4d6c1d0e-0000-4000-8000-000000000000 1`],
  ['nonsense', 'when it suits'],
  ['the future', `${readBootId()} ${uptimeMs() + 3_600_000}`],
])('a call that proves %s moves no deadline', async (_what, proof) => {
  const fence = await open(100)
  await fence.admit(1, proof)
  expect(await readDeadline(stateDir)).toBeUndefined()
})

test('a former leader proves nothing', async () => {
  const fence = await open(100)
  await fence.admit(2)
  await expect(fence.admit(1, fence.proof())).rejects.toMatchObject({ reason: 'StaleLeader' })
  expect(await readDeadline(stateDir)).toBeUndefined()
})

test('what comes too late leaves the node cut off until a later proof', async () => {
  const fence = await open(10)
  await fence.admit(1, proofOf(uptimeMs() - 11_000))
  expect(fence.isCutOff()).toBe(true)
  await fence.admit(1, fence.proof())
  expect(fence.isCutOff()).toBe(false)
})

test('a worker that starts again goes on with the deadline that was left', async () => {
  const before = await open(10)
  await before.admit(1, proofOf(uptimeMs() - 11_000))
  await before[Symbol.asyncDispose]()
  expect((await open(10)).isCutOff()).toBe(true)
})

test('a promise to a guest holds, also where the worker starts with a longer time, or none', async () => {
  for (const afterSeconds of [600, 0]) {
    const fence = await open(afterSeconds, 100)
    const givenMs = uptimeMs()
    await fence.admit(1, proofOf(givenMs))
    expect((await readDeadline(stateDir))?.atMs).toBe(givenMs + 100_000)
  }
  const free = await open(0)
  await free.admit(1, free.proof())
  expect(await readDeadline(stateDir)).toBeUndefined()
  expect(free.armedSeconds()).toBeUndefined()
})

test('it is armed while a guard is there, which outlives the worker and comes back when it is killed', async () => {
  const fence = await open(100)
  expect(fence.armedSeconds()).toBeUndefined()
  await fence.admit(1, fence.proof())
  await eventually('it is armed', 20_000, async () => fence.armedSeconds() === 100)
  const first = await readSign(stateDir)
  process.kill(first?.pid ?? 0, 'SIGKILL')
  const second = await eventually('another guard is there', 30_000, async () => {
    const sign = await readSign(stateDir)
    return sign && sign.pid !== first?.pid && sign
  })
  await fence[Symbol.asyncDispose]()
  const seen = second.atMs
  await eventually('it goes on', 10_000, async () => ((await readSign(stateDir))?.atMs ?? 0) > seen + 1000)
  await rm(deadlineFile(stateDir))
  await eventually('it ends', 10_000, async () => !isAlive(second.pid))
}, 60_000)

test('a deadline that cannot be read is not taken for none', async () => {
  await writeFile(deadlineFile(stateDir), '{')
  await expect(open(100)).rejects.toThrow(SyntaxError)
  expect(await readFile(join(stateDir, 'deadline.json'), 'utf8')).toBe('{')
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
