import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isAlive, spawnQemu } from '../../../src/qemu/process.ts'
import { endQemu } from '../../../src/worker/guest/stop.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virtgate-stop-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

const STUBBORN = 'trap "" TERM; echo ready; while :; do sleep 0.05; done'

/** Starts a script and waits until it has said something. */
async function start(script: string) {
  const logFile = join(folder, 'log')
  const process = await spawnQemu({ binary: '/bin/sh', argv: ['-c', script], logFile })
  while ((await readFile(logFile, 'utf8')) === '') await sleep(5)
  return process
}

test.each([
  ['minds SIGTERM', 'echo ready; exec sleep 60'],
  ['minds nothing', STUBBORN],
  ['is gone already', 'echo ready'],
])('a process that %s is ended, and only then is it over', async (_what, script) => {
  const process = await start(script)
  await endQemu(process, undefined, new AbortController().signal, 300)
  expect(isAlive(process)).toBe(false)
})

test('whoever does not want to wait any more does not', async () => {
  const process = await start(STUBBORN)
  await expect(endQemu(process, undefined, AbortSignal.timeout(100), 10_000)).rejects.toThrow('timeout')
  await endQemu(process, undefined, new AbortController().signal, 50)
})
