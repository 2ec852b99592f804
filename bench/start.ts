/**
 * How long a start takes from the call to the subresource API until the guest's QEMU answers its monitor, against the
 * same QEMU command line launched bare. Run it with `npx node bench/start.ts`.
 */
import { openKubeStore } from '../src/store/kube/store.ts'
import { VMIS } from '../src/kinds/table.ts'
import type { Vm } from '../src/kinds/kubevirt.ts'
import { eventually, guestPids, startServer, type TestServer } from '../test/helpers/server.ts'
import { getVmi, helloVm, paths } from '../test/helpers/vms.ts'
import { recordQemu } from './bare-start.ts'

const ROUNDS = 10
const TARGET_MS = 300
const NAME = 'bench'
const DEADLINE_MS = 60_000

/** Milliseconds from the call on. */
interface Started {
  /** Until the call was answered. */
  answered: number
  /** Until a watcher saw the VMI Running: QEMU has answered its monitor, and we have said so. */
  running: number
}

async function startOnce({ client }: TestServer): Promise<Started> {
  const store = openKubeStore(client)
  const { resourceVersion } = await store.list(VMIS, { namespace: 'default' })
  const stop = AbortSignal.timeout(DEADLINE_MS)
  const startedAt = performance.now()
  const call = client.call<void>({ method: 'PUT', path: paths(NAME).onVm('start'), body: {} })
  const answered = call.then(() => performance.now() - startedAt)
  for await (const { object } of store.watch(VMIS, resourceVersion, { namespace: 'default' }, stop)) {
    if (object.status?.phase === 'Running') {
      return { running: performance.now() - startedAt, answered: await answered }
    }
  }
  throw new Error(`${NAME} does not run after ${DEADLINE_MS} ms`)
}

async function stopGuest(server: TestServer): Promise<void> {
  const body = { gracePeriod: 0 }
  await server.client.call<void>({ method: 'PUT', path: paths(NAME).onVm('stop'), body })
  await eventually('the guest is gone', DEADLINE_MS, async () => {
    return guestPids(server.data).length === 0 && !(await getVmi(server.client, NAME))
  })
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const [low = 0, high = low] = sorted.slice(Math.ceil(sorted.length / 2) - 1)
  return sorted.length % 2 === 0 ? (low + high) / 2 : low
}

function line(name: string, values: readonly number[]): string {
  const cells = [median(values), Math.min(...values), Math.max(...values)]
  return `| ${name.padEnd(29)} | ${cells.map((value) => value.toFixed(0).padStart(6)).join(' | ')} |\n`
}

async function main(): Promise<void> {
  await using server = await startServer()
  await server.client.call<Vm>({ method: 'POST', path: paths(NAME).vms, body: helloVm(NAME) })
  // The first start takes files out of the image.
  await startOnce(server)
  await using bare = await recordQemu(guestPids(server.data)[0] ?? 0)
  await stopGuest(server)
  const launches: number[] = []
  const starts: Started[] = []
  for (let round = 0; round < ROUNDS; round++) {
    launches.push(await bare.start())
    starts.push(await startOnce(server))
    await stopGuest(server)
  }
  const running = starts.map((start) => start.running)
  const more = median(running) - median(launches)
  process.stdout.write(
    '| milliseconds                  | median |    min |    max |\n' +
      '| ----------------------------- | -----: | -----: | -----: |\n' +
      line('bare QEMU until its monitor', launches) +
      line(
        'start call until answered',
        starts.map((start) => start.answered),
      ) +
      line('start call until VMI Running', running) +
      `\n${ROUNDS} rounds: ${(median(running) / median(launches)).toFixed(2)} times a bare launch, ` +
      `${more.toFixed(0)} ms more; target at most ${TARGET_MS} ms more: ${more <= TARGET_MS ? 'met' : 'missed'}\n`,
  )
}

await main()
