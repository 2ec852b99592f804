/**
 * What a scrape of a worker with 500 guests takes, one of whom hangs. The QEMUs are stand-ins in a process of their own, each at a
 * socket of its own; the client of QMP, the reading and the text are the worker's. Run it with `npx node bench/scrape.ts`.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Scrape } from './scrape-worker.ts'

const GUESTS = 500
const ROUNDS = 5
/** Between scrapes, as between those of a Prometheus that is in a hurry. */
const PAUSE_MS = 1000

async function start(name: string, args: string[], execArgv: string[] = []): Promise<ChildProcess> {
  const child = fork(new URL(name, import.meta.url), args, { execArgv })
  await once(child, 'message')
  return child
}

async function scrape(worker: ChildProcess): Promise<Scrape> {
  worker.send('scrape')
  const [result] = (await once(worker, 'message')) as [Scrape]
  return result
}

function line(name: string, { ms, cpuMs, extraMib, bytes, guests }: Scrape): string {
  const cells = [
    ms.toFixed(0),
    cpuMs.toFixed(0),
    extraMib.toFixed(1),
    (bytes / 1024).toFixed(0),
    String(guests),
  ]
  return `| ${[name.padEnd(24), ...cells.map((cell) => cell.padStart(9))].join(' | ')} |\n`
}

async function main(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'vg-scrape-'))
  const qemus = await start('scrape-guests.ts', [dir, String(GUESTS)])
  // As `startOver` in src/node.mjs has it.
  const flags = ['--max-semi-space-size=2', '--v8-pool-size=1']
  const worker = await start('scrape-worker.ts', [dir, String(GUESTS), String(qemus.pid)], flags)
  process.stdout.write(
    '| scrape                   |        ms |    CPU ms | extra MiB |  text KiB |    guests |\n' +
      '| ------------------------ | --------: | --------: | --------: | --------: | --------: |\n',
  )
  process.stdout.write(line('first, one guest hangs', await scrape(worker)))
  for (let round = 2; round <= ROUNDS; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    process.stdout.write(line(`${round}.`, await scrape(worker)))
  }
  worker.disconnect()
  qemus.disconnect()
  await rm(dir, { recursive: true })
}

await main()
