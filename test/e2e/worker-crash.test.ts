import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { fakeVmi, openFakeWorker } from '../helpers/fake-worker.ts'
import { makeHome, refOf, requestFor, WorkerWatch } from '../helpers/worker.ts'

const PROGRAM = fileURLToPath(new URL('../programs/worker.ts', import.meta.url))

/** Processes whose arguments name a path below that directory. */
function processesIn(dir: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${dir}/`)
      } catch {
        return false
      }
    })
}

// The stand-in for QEMU needs about 100 ms to be ready: these fall before, between and after all steps of a start.
const delays = [0, 3, 6, 10, 15, 20, 30, 45, 60, 80, 100, 120, 150, 200]

test.each(delays)(
  'kill -9 of a worker %d ms after it was told of a guest leaves one QEMU at most, and nothing that cannot be removed',
  async (delayMs) => {
    await using home = await makeHome()
    const vmi = fakeVmi('plain', {
      volumes: [{ name: 'empty', emptyDisk: { capacity: '1Mi' } }],
      domain: { devices: { disks: [{ name: 'empty', disk: { bus: 'virtio' } }] } },
    })
    const { uid } = vmi.metadata
    const child = spawn(process.execPath, [PROGRAM, home.root, 'fake'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await once(createInterface({ input: child.stdout }), 'line')
    child.stdin.write(`${JSON.stringify({ sync: requestFor(vmi) })}\n`)
    await sleep(delayMs)
    child.kill('SIGKILL')
    await once(child, 'exit')

    await using worker = await openFakeWorker(home)
    await using watch = new WorkerWatch(worker)
    await worker.sync(requestFor(vmi))
    await watch.report(uid, ({ phase }) => phase === 'Running')
    expect(processesIn(home.runDir)).toHaveLength(1)
    await worker.remove(refOf(vmi), { graceSeconds: 0 })
    await watch.removed(uid)
    expect(processesIn(home.runDir)).toEqual([])
    expect(readdirSync(home.runDir).sort()).toEqual(['generated', 'pin'])
    expect(readdirSync(join(home.runDir, 'generated'))).toEqual([])
    expect(readdirSync(join(home.runDir, 'pin'))).toEqual([])
    expect(readdirSync(home.stateDir)).not.toContain(uid)
  },
)
