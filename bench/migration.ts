/**
 * How long a guest stands still while it moves between two workers, and how long a move takes in all, against the same
 * guest moved by two bare QEMUs over QMP. Run it with `npx node bench/migration.ts`.
 */
import { createConnection } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { GuestImage } from '../src/guest/guest-image.ts'
import { connectQmp } from '../src/qemu/qmp/client.ts'
import { BareQemu } from '../test/helpers/bare-qemu.ts'
import { guestAssets } from '../test/helpers/guest.ts'
import { countingVmi, depart, reaches } from '../test/helpers/migration.ts'
import { TestNode } from '../test/helpers/two-nodes.ts'
import { refOf } from '../test/helpers/worker.ts'
import type { Vmi } from '../src/kinds/kubevirt.ts'

const MOVES = 10
const POLL_MS = 20
const QMP_MS = 10_000
/** As the worker allows it: see `QUICK` in test/helpers/migration.ts. */
const DOWNTIME_LIMIT_MS = 300

/** One move, in milliseconds. */
interface Move {
  downtime: number
  total: number
}

/** Moves a guest back and forth; the time runs from the call that begins it until it runs on the target. */
async function moveByWorkers(vmi: Vmi): Promise<Move[]> {
  await using a = await TestNode.open('node-a')
  await using b = await TestNode.open('node-b')
  await a.boot(vmi)
  const moves: Move[] = []
  let [from, to] = [a, b]
  for (let epoch = 1; epoch <= MOVES; epoch++) {
    const startedAt = performance.now()
    const journey = await depart(from.worker, to.worker, vmi, { epoch })
    await reaches(to.worker, journey, 'done')
    const total = performance.now() - startedAt
    await reaches(from.worker, journey, 'handedOver')
    await to.counts(vmi, 3)
    const { migration } = await from.worker.report(refOf(vmi))
    moves.push({ total, downtime: migration?.progress?.downtimeMs ?? 0 })
    await from.release(journey)
    ;[from, to] = [to, from]
  }
  return moves
}

interface Status {
  status: string
  downtime?: number
}

/** Moves a guest from one bare QEMU into the next, which is started meanwhile. */
async function moveBare(guest: GuestImage): Promise<Move[]> {
  const moves: Move[] = []
  let source = await BareQemu.start(guest, { kernelArgs: '' })
  try {
    await source.waitFor(/GUEST-READY/)
    for (let move = 0; move < MOVES; move++) {
      const startedAt = performance.now()
      const target = await BareQemu.start(guest, { args: ['-incoming', 'defer', '-S'] })
      const downtime = await send(source, target)
      moves.push({ downtime, total: performance.now() - startedAt })
      await source[Symbol.asyncDispose]()
      source = target
    }
  } finally {
    await source[Symbol.asyncDispose]()
  }
  return moves
}

async function send(source: BareQemu, target: BareQemu): Promise<number> {
  const [from, to] = await Promise.all([source, target].map((qemu) => monitorOf(qemu)))
  if (!from || !to) throw new Error('there are two monitors')
  try {
    const capabilities = ['return-path', 'late-block-activate'].map((capability) => ({
      capability,
      state: true,
    }))
    for (const qmp of [from, to]) await qmp.execute('migrate-set-capabilities', { capabilities })
    await to.execute('migrate-incoming', { uri: 'tcp:127.0.0.1:0' })
    const { 'socket-address': addresses } = await to.execute<{ 'socket-address': { port: string }[] }>(
      'query-migrate',
    )
    const parameters = { 'max-bandwidth': 0, 'downtime-limit': DOWNTIME_LIMIT_MS }
    await from.execute('migrate-set-parameters', parameters)
    await from.execute('migrate', { uri: `tcp:127.0.0.1:${addresses[0]?.port}` })
    for (;;) {
      const { status, downtime } = await from.execute<Status>('query-migrate')
      if (status === 'failed') throw new Error('the bare migration failed')
      if (status === 'completed') {
        await to.execute('cont')
        return downtime ?? 0
      }
      await sleep(POLL_MS)
    }
  } finally {
    await Promise.all([from.close(), to.close()])
  }
}

/** Connects once the socket is there. */
async function monitorOf(qemu: BareQemu) {
  const path = qemu.monitor
  for (let tries = 0; tries < 500 && !(await answers(path)); tries++) await sleep(POLL_MS)
  return connectQmp(path, { timeoutMs: QMP_MS, signal: AbortSignal.timeout(QMP_MS), alive: () => true })
}

async function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = createConnection(path)
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
  try {
    return await promise
  } finally {
    socket.destroy()
  }
}

function line(name: string, values: readonly number[]): string {
  const sorted = values.toSorted((left, right) => left - right)
  const cells = [sorted[Math.floor(sorted.length / 2)], sorted[0], sorted.at(-1)]
  return `| ${name.padEnd(34)} | ${cells.map((value) => (value ?? 0).toFixed(0).padStart(6)).join(' | ')} |\n`
}

async function main(): Promise<void> {
  const bare = await moveBare(await guestAssets())
  const moved = await moveByWorkers(countingVmi('traveller'))
  process.stdout.write(
    '| milliseconds                       | median |    min |    max |\n' +
      '| ---------------------------------- | -----: | -----: | -----: |\n' +
      line(
        'bare QEMU: guest stands still',
        bare.map(({ downtime }) => downtime),
      ) +
      line(
        'workers: guest stands still',
        moved.map(({ downtime }) => downtime),
      ) +
      line(
        'bare QEMU: start of target to end',
        bare.map(({ total }) => total),
      ) +
      line(
        'workers: call to running there',
        moved.map(({ total }) => total),
      ) +
      `\n${MOVES} moves each. The guest of the workers writes to its memory and to a disk, which is mirrored; moves are ` +
      'encrypted. The bare one does nothing.\n',
  )
}

await main()
