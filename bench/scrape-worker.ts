/** The worker of scrape.ts: reads the figures of guests that are there, and says what that took. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../src/lib/clock.ts'
import { openMetrics } from '../src/metrics/exposition.ts'
import { processSource } from '../src/metrics/process.ts'
import { connectQmp } from '../src/qemu/qmp/client.ts'
import { buildFigureReader } from '../src/worker/figures/collect.ts'
import type { ObservedGuest } from '../src/worker/figures/guest.ts'
import { newState } from '../src/worker/guest/state.ts'
import { guestVmi, silentLog } from '../test/helpers/worker.ts'

/** What one scrape has taken. */
export interface Scrape {
  ms: number
  cpuMs: number
  /** Memory beyond what there was before, at its highest. */
  extraMib: number
  bytes: number
  guests: number
}

const MIB = 1024 ** 2
const [dir = '', count = '', pid = ''] = process.argv.slice(2)
const guests = await Promise.all(Array.from({ length: Number(count) }, (_, index) => connect(index)))
const figures = buildFigureReader({ nodeName: 'node01', clock: systemClock, log: silentLog })
const metrics = openMetrics({ clock: systemClock, log: silentLog })
metrics.add(processSource())
metrics.add({ source: 'guests', collect: (signal) => figures.read(guests, signal) })
process.on('disconnect', () => process.exit())
process.on('message', () => void scrape().then((result) => process.send?.(result)))
process.send?.('ready')

async function connect(index: number): Promise<ObservedGuest> {
  const name = `vm-${index}`
  const qmp = await connectQmp(join(dir, `${index}.sock`))
  // Field 22, counted from behind the name.
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const startTicks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  return {
    state: newState({ uid: name, namespace: 'default', name }, 1),
    vmi: guestVmi(name),
    machine: {
      process: { pid: Number(pid), startTicks, bootId: '', logOffset: 0 },
      command: (command, args) => qmp.execute(command, args),
    },
    agent: undefined,
  }
}

async function scrape(): Promise<Scrape> {
  const before = process.memoryUsage.rss()
  let highest = before
  const look = (): void => {
    highest = Math.max(highest, process.memoryUsage.rss())
  }
  const timer = setInterval(look, 5)
  const cpu = process.cpuUsage()
  const since = performance.now()
  let bytes = 0
  const told = new Set<string>()
  for await (const piece of metrics.text()) {
    bytes += Buffer.byteLength(piece)
    for (const [name] of piece.matchAll(/name="vm-\d+"/g)) told.add(name)
    look()
  }
  const ms = performance.now() - since
  const { user, system } = process.cpuUsage(cpu)
  clearInterval(timer)
  return { ms, cpuMs: (user + system) / 1000, extraMib: (highest - before) / MIB, bytes, guests: told.size }
}
