/**
 * A worker as a process of its own, to be killed: `worker.ts ROOT [fake]`, with the stand-in for QEMU where `fake`. Prints `ready` once it has adopted its guests,
 * then answers lines of JSON, `{"sync": SyncRequest}`, with the first phase that the guest has reached.
 */
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import type { SyncRequest } from '../../src/rpc/actions.ts'
import { openImageStore } from '../../src/worker/images/store.ts'
import { openFakeWorker } from '../helpers/fake-worker.ts'
import { openTestWorker, silentLog, WorkerWatch } from '../helpers/worker.ts'

const [root = '', kind] = process.argv.slice(2)
const home = {
  root,
  stateDir: join(root, 'state'),
  runDir: join(root, 'run'),
  async [Symbol.asyncDispose]() {},
}
const images = await openImageStore({ dir: join(root, 'images'), log: silentLog })
const opening = kind === 'fake' ? openFakeWorker(home) : openTestWorker(home, { images })
const worker = await opening.catch((error: Error) => {
  process.stdout.write(`${error.name}: ${error.message}\n`)
  process.exit(1)
})
const watch = new WorkerWatch(worker)
process.stdout.write('ready\n')
for await (const line of createInterface({ input: process.stdin })) {
  const { sync } = JSON.parse(line) as { sync: SyncRequest }
  await worker.sync(sync)
  const { phase } = await watch.report(sync.vmi.metadata.uid, ({ phase }) => phase !== 'Scheduled')
  process.stdout.write(`${phase}\n`)
}
