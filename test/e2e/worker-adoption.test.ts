import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { SyncRequest } from '../../src/rpc/actions.ts'
import { StateDirInUse } from '../../src/worker/worker.ts'
import { requireQemu } from '../helpers/guest.ts'
import {
  guestImages,
  guestVmi,
  makeHome,
  openTestWorker,
  pidOf,
  refOf,
  removeAll,
  requestFor,
  Screen,
  TYPING,
  type WorkerHome,
  WorkerWatch,
} from '../helpers/worker.ts'

requireQemu()('guests outlive their worker', () => {
  let home: WorkerHome
  const children: ChildProcess[] = []

  beforeAll(async () => {
    home = await makeHome()
    await guestImages(home)
  })
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL')
    const worker = await openTestWorker(home)
    await removeAll(worker)
    await worker[Symbol.asyncDispose]()
    await home[Symbol.asyncDispose]()
  })

  /** A worker in a process of its own; `line` answers its next line. */
  const startWorker = () => {
    const program = fileURLToPath(new URL('../programs/worker.ts', import.meta.url))
    const child = spawn(process.execPath, [program, home.root], { stdio: ['pipe', 'pipe', 'inherit'] })
    children.push(child)
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    return {
      child,
      line: async () => (await lines.next()).value,
      sync: (request: SyncRequest) => child.stdin.write(`${JSON.stringify({ sync: request })}\n`),
    }
  }

  test('kill -9 of a worker: the next one has the same QEMU, its pause and its console; a second one is refused', async () => {
    const vmi = guestVmi('survivor', { kernelArgs: 'virtgate.run=while+true;do+echo+tick;sleep+1;done' })
    const guest = refOf(vmi)
    const first = startWorker()
    expect(await first.line()).toBe('ready')
    first.sync(requestFor(vmi))
    expect(await first.line()).toBe('Running')
    const pid = pidOf(home, guest.uid)
    expect(pid).toBeGreaterThan(0)

    const refused = await openTestWorker(home).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(StateDirInUse)
    expect(String(refused)).toContain(`process ${first.child.pid} (worker test-node`)

    first.child.kill('SIGKILL')
    await once(first.child, 'exit')
    process.kill(pid ?? 0, 0)

    {
      await using second = await openTestWorker(home)
      expect(await second.report(guest)).toMatchObject({ phase: 'Running' })
      expect(pidOf(home, guest.uid)).toBe(pid)
      const screen = new Screen(await second.console(guest, TYPING))
      await screen.shows(/tick/)
      expect(await second.sync(requestFor(vmi, { epoch: 3 }))).toMatchObject({ phase: 'Running', epoch: 3 })
      await expect(second.sync(requestFor(vmi, { epoch: 2 }))).rejects.toMatchObject({
        code: 409,
        reason: 'Conflict',
      })
      await second.pause(guest)
    }
    process.kill(pid ?? 0, 0)

    await using third = await openTestWorker(home)
    expect((await third.report(guest)).conditions).toContainEqual(
      expect.objectContaining({ type: 'Paused', reason: 'PausedByUser' }),
    )
    await using watch = new WorkerWatch(third)
    // A paused guest is let go on, so that it can shut down.
    await third.remove(guest, { graceSeconds: 60 })
    await watch.removed(guest.uid)
    expect(watch.reports(guest.uid).at(-1)).toMatchObject({ phase: 'Succeeded' })
  })

  test('what happened while no worker was there is found out: power off, kill -9, a removal under way', async () => {
    const [off, killed, leaving] = ['off', 'killed', 'leaving'].map((name) =>
      guestVmi(name, {
        kernelArgs: name === 'off' ? 'virtgate.run=sleep+3;echo+bye;poweroff+-f' : 'virtgate.deaf=1',
      }),
    )
    if (!off || !killed || !leaving) throw new Error('three were made')
    const first = await openTestWorker(home)
    const seen = new WorkerWatch(first)
    for (const vmi of [off, killed, leaving]) await first.sync(requestFor(vmi))
    for (const { metadata } of [off, killed, leaving])
      await seen.report(metadata.uid, ({ phase }) => phase === 'Running')
    const killedPid = pidOf(home, killed.metadata.uid) ?? 0
    // Long enough that it cannot be over before the next worker is watched.
    await first.remove(refOf(leaving), { graceSeconds: 20 })
    await seen[Symbol.asyncDispose]()
    await first[Symbol.asyncDispose]()
    process.kill(killedPid, 'SIGKILL')
    const log = join(home.stateDir, off.metadata.uid, 'serial0.log')
    await expect.poll(() => readFileSync(log, 'utf8'), { timeout: 30_000, interval: 200 }).toContain('\nbye')
    await new Promise((resolve) => setTimeout(resolve, 1500))

    await using second = await openTestWorker(home)
    await using watch = new WorkerWatch(second)
    expect(await second.report(refOf(off))).toMatchObject({ phase: 'Succeeded' })
    expect(await second.report(refOf(killed))).toMatchObject({ phase: 'Failed', reason: 'QemuExited' })
    await watch.removed(leaving.metadata.uid)
    expect(watch.reports(leaving.metadata.uid).at(-1)).toMatchObject({
      phase: 'Failed',
      reason: 'GracePeriodExpired',
    })
    for (const vmi of [off, killed]) {
      await second.remove(refOf(vmi), { graceSeconds: 0 })
      await watch.removed(vmi.metadata.uid)
    }
  })

  test('a QEMU whose start was not written down to its end is ended, and the guest starts anew', async () => {
    const vmi = guestVmi('orphan')
    const { uid } = vmi.metadata
    const first = await openTestWorker(home)
    const seen = new WorkerWatch(first)
    await first.sync(requestFor(vmi))
    await seen.report(uid, ({ phase }) => phase === 'Running')
    await seen[Symbol.asyncDispose]()
    await first[Symbol.asyncDispose]()
    const orphan = pidOf(home, uid) ?? 0
    // As if the worker had crashed before it wrote the number of the process.
    const file = join(home.stateDir, uid, 'state.json')
    const { process: _process, ...state } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
    writeFileSync(file, JSON.stringify({ ...state, phase: 'Scheduled' }))

    await using second = await openTestWorker(home)
    expect(existsSync(`/proc/${orphan}/exe`)).toBe(false)
    expect(await second.report(refOf(vmi))).toMatchObject({ phase: 'Scheduled' })
    await using watch = new WorkerWatch(second)
    await second.sync(requestFor(vmi))
    await watch.report(uid, ({ phase }) => phase === 'Running')
    expect(pidOf(home, uid)).not.toBe(orphan)
    await second.remove(refOf(vmi), { graceSeconds: 0 })
    await watch.removed(uid)
  })
})
