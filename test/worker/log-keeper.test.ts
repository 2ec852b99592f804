import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { keepLogsShort } from '../../src/worker/log-keeper.ts'
import { memoryLog } from '../helpers/api.ts'
import { createFakeClock } from '../helpers/fake-clock.ts'

const stack = new AsyncDisposableStack()
afterEach(() => stack.disposeAsync())

test('what QEMUs print is cut again and again, of each guest by itself', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'vg-logs-'))
  stack.defer(() => rm(stateDir, { recursive: true }))
  const [long, short] = ['a', 'b'].map((uid) => join(stateDir, uid, 'qemu.log')) as [string, string]
  // What is no guest has no log.
  for (const name of ['a', 'b', 'c']) await mkdir(join(stateDir, name))
  await writeFile(join(stateDir, 'worker.lock'), 'x'.repeat(5000))
  await writeFile(long, 'line\n'.repeat(1000))
  await writeFile(short, 'line\n')
  const clock = createFakeClock()
  const log = memoryLog()
  stack.use(keepLogsShort({ dirs: { stateDir, runDir: '/nowhere' }, limitBytes: 1000, clock, log }))
  const sizes = async () => Promise.all([long, short].map(async (file) => (await stat(file)).size))
  await expect.poll(sizes).toEqual([495, 5])
  await writeFile(long, 'line\n'.repeat(1000), { flag: 'a' })
  await expect
    .poll(async () => {
      clock.advance(10_000)
      return sizes()
    })
    .toEqual([495, 5])
  expect(log.lines.map(({ fields }) => fields)).toEqual([{ uid: 'a' }, { uid: 'a' }])
})
