/**
 * Memory of an idle installation with one running VM, QEMU apart: everything in one process, and with a worker
 * process. Run it with `npx node bench/footprint.ts`.
 */
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { startServer } from '../test/helpers/server.ts'
import { awaitPhase, bootVm, openConsole } from '../test/helpers/vms.ts'
import { mebibytes, memoryOf, type Memory } from './memory.ts'

const TARGET_MIB = 150
/** After the start V8 gives back what it needed for it. */
const IDLE_MS = 30_000

interface Row extends Memory {
  setup: string
  process: string
}

/** Boots one VM on a fresh installation, lets it idle, and measures each of our processes. */
async function measure(workers: number): Promise<Row[]> {
  await using server = await startServer({ args: ['--workers', String(workers)] })
  await bootVm(server.client, 'idle', { graceSeconds: 0 })
  await awaitPhase(server.client, 'idle', 'Running')
  const console = await openConsole(server.client, 'idle')
  await console.sees(/GUEST-READY/)
  console.close()
  await sleep(IDLE_MS)
  const { pid = 0 } = server.process
  const pids: [string, number][] = [['server', pid], ...childrenOf(pid).map(toWorker)]
  const setup = workers === 0 ? 'one process' : `${workers} worker process`
  return Promise.all(pids.map(async ([process, one]) => ({ setup, process, ...(await memoryOf(one)) })))
}

/** Our own processes alone: a QEMU is in a session of its own and has another name. */
function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync('pgrep', ['-P', String(pid), '-f', 'main.ts worker'], { encoding: 'utf8' })
  return stdout.split('\n').filter(Boolean).map(Number)
}

function toWorker(pid: number): [string, number] {
  return ['worker', pid]
}

function sum(rows: readonly Row[]): Row {
  const total = (pick: (row: Row) => number) => rows.reduce((so, row) => so + pick(row), 0)
  const setup = rows[0]?.setup ?? ''
  const [rss, pss, unique] = [total((row) => row.rss), total((row) => row.pss), total((row) => row.unique)]
  return { setup, process: 'together', rss, pss, unique }
}

function format({ setup, process, rss, pss, unique }: Row): string {
  const cells = [rss, pss, unique].map((value) => mebibytes(value).padStart(8))
  return `| ${setup.padEnd(16)} | ${process.padEnd(8)} | ${cells.join(' | ')} |`
}

const rows: Row[] = []
for (const workers of [0, 1]) {
  const measured = await measure(workers)
  rows.push(...measured, ...(measured.length > 1 ? [sum(measured)] : []))
}
const lines = [
  '| setup            | process  |  RSS MiB |  PSS MiB |  own MiB |',
  '| ---------------- | -------- | -------: | -------: | -------: |',
  ...rows.map(format),
]
const worst = Math.max(...rows.map(({ pss }) => pss)) / 1024
const verdict = worst <= TARGET_MIB ? 'met' : 'missed'
process.stdout.write(`${lines.join('\n')}\n\ntarget: at most ${TARGET_MIB} MiB PSS: ${verdict}\n`)
