/**
 * A worker as a process of its own, to be killed while guests move: `migration-worker.ts ROOT NAME`. Prints `ready`
 * once it has adopted its guests, then answers lines of JSON, `{"id": 1, "call": "report", "args": [...]}`, with
 * `{"id": 1, "answer": ...}` or `{"id": 1, "error": {"code": ..., "message": ...}}`.
 */
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { openImageStore } from '../../src/worker/images/store.ts'
import type { Mover } from '../helpers/migration.ts'
import { openTestWorker, silentLog } from '../helpers/worker.ts'

interface Call {
  id: number
  call: Exclude<keyof Mover, 'watch'>
  args: unknown[]
}

const [root = '', nodeName = ''] = process.argv.slice(2)
const home = {
  root,
  stateDir: join(root, 'state'),
  runDir: join(root, 'run'),
  async [Symbol.asyncDispose]() {},
}
const images = await openImageStore({ dir: join(root, 'images'), log: silentLog })
const worker = await openTestWorker(home, { images, nodeName })
process.stdout.write('ready\n')

for await (const line of createInterface({ input: process.stdin })) {
  const { id, call, args } = JSON.parse(line) as Call
  // The caller is a test, and gives each call what it takes.
  const run = worker[call] as (...given: unknown[]) => Promise<unknown>
  run(...args).then(
    (answer) => process.stdout.write(`${JSON.stringify({ id, answer })}\n`),
    ({ code, message }: { code?: number; message: string }) =>
      process.stdout.write(`${JSON.stringify({ id, error: { code, message } })}\n`),
  )
}
