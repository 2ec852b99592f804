/**
 * Memory of an idle installation with one running VM, QEMU apart. Run it with `npx node bench/footprint.ts`; what it
 * printed last, and what it means, stands in README.md.
 */
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { startServer } from '../test/helpers/server.ts'
import { awaitPhase, bootVm, openConsole } from '../test/helpers/vms.ts'
import { mebibytes, memoryOf, together, type Memory } from './memory.ts'

const TARGET_MIB = 150
const IDLE_MS = 10_000

interface Row {
  name: string
  memory: Memory
}

/**
 * Boots one VM on a fresh installation and measures our processes; then again after a restart, which finds
 * certificates, the guest's files and the guest itself.
 */
async function measure(workers: number): Promise<Row[]> {
  await using first = await startServer({ args: ['--workers', String(workers)] })
  await bootVm(first.client, 'idle', { graceSeconds: 0 })
  await awaitPhase(first.client, 'idle', 'Running')
  const console = await openConsole(first.client, 'idle')
  await console.sees(/GUEST-READY/)
  console.close()
  const rows = await rowsOf('first start', first.process.pid)
  await first.stop()
  const later = await first.again()
  await awaitPhase(later.client, 'idle', 'Running')
  rows.push(...(await rowsOf('later start', later.process.pid)))
  await later.client[Symbol.asyncDispose]()
  await later.stop()
  return rows
}

/** Fills caches of compiled code, which a machine has from its second start on. */
async function warmUp(): Promise<void> {
  await using _server = await startServer({ args: ['--workers', '1'] })
}

async function rowsOf(start: string, pid = 0): Promise<Row[]> {
  await sleep(IDLE_MS)
  const server = await memoryOf(pid)
  const workers = await Promise.all(workersOf(pid).map(memoryOf))
  if (workers.length === 0) return [{ name: `one process, ${start}`, memory: server }]
  return [
    { name: `server, ${start}`, memory: server },
    ...workers.map((memory) => ({ name: `worker, ${start}`, memory })),
    { name: `server and worker, ${start}`, memory: together([server, ...workers]) },
  ]
}

/** Our own processes alone: QEMU runs in a session of its own, under another name. */
function workersOf(pid: number): number[] {
  const { stdout } = spawnSync('pgrep', ['-P', String(pid), '-f', ' worker --node '], { encoding: 'utf8' })
  return stdout.split('\n').filter(Boolean).map(Number)
}

function format({ name, memory: { rss, pss, own } }: Row): string {
  const cells = [rss, pss, own].map((value) => mebibytes(value).padStart(7))
  const verdict = rss <= TARGET_MIB * 1024 ? 'yes' : 'no'
  return `| ${name.padEnd(30)} | ${cells.join(' | ')} | ${verdict.padStart(5)} |\n`
}

async function main(): Promise<void> {
  process.stdout.write(
    `| process                        | RSS MiB | PSS MiB | own MiB | ≤ ${TARGET_MIB} |\n` +
      '| ------------------------------ | ------: | ------: | ------: | ----: |\n',
  )
  await warmUp()
  for (const workers of [0, 1]) {
    for (const row of await measure(workers)) process.stdout.write(format(row))
  }
}

await main()
