/**
 * Memory of `virtgate apiserver` behind a real kube-apiserver, and how soon it is ready. Run it with
 * `npx node bench/cluster-footprint.ts`; what it printed last, and what it means, stands in README.md.
 */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { startControlPlane, type ControlPlane } from '../test/helpers/kube-cluster/control-plane.ts'
import { installVirtgate, portsOf, type Installation } from '../test/helpers/kube-cluster/installation.ts'
import type { RoleProcess } from '../test/helpers/role-process.ts'
import { eventually } from '../test/helpers/server.ts'
import { awaitPhase, helloVm, openConsole, paths } from '../test/helpers/vms.ts'
import { mebibytes, memoryOf } from './memory.ts'

const IDLE_MIB = 100
const BUSY_MIB = 150
const READY_MS = 1000
const VMS = 1000
const STREAMS = 100
const STARTS = 5
/** Five seconds after its start a process collects its garbage. */
const IDLE_MS = 15_000
/** Source: proc(5), `/proc/PID/stat`; Linux counts in hundredths of a second. */
const TICK_MS = 10

async function main(): Promise<void> {
  await using plane = await startControlPlane()
  await using virtgate = await installVirtgate(plane, { nodes: ['node-a'] })
  process.stdout.write(`| measured | value | target | holds |\n| --- | ---: | ---: | ---: |\n`)
  const starts: Start[] = []
  for (let count = 0; count < STARTS; count++) starts.push(await timeStart(virtgate))
  print(
    `ready after its start, median of ${STARTS}, ms`,
    median(starts.map(({ tookMs }) => tookMs)),
    READY_MS,
  )
  print('of that on a processor, ms', median(starts.map(({ busyMs }) => busyMs)), READY_MS)
  const server = await virtgate.startApiServer()
  await retire(virtgate, server)
  await sleep(IDLE_MS)
  await printMemory('idle', server, IDLE_MIB)
  await createVms(plane)
  await sleep(IDLE_MS)
  await printMemory(`with ${VMS} VMs`, server, BUSY_MIB)
  await openStreams(plane)
  await sleep(IDLE_MS)
  await printMemory(`with ${VMS} VMs and ${STREAMS} streams`, server, BUSY_MIB)
}

/** What it takes until `/readyz` says yes: milliseconds by the clock, and of work of that process. */
interface Start {
  tookMs: number
  busyMs: number
}

async function timeStart(virtgate: Installation): Promise<Start> {
  const before = performance.now()
  const server = await virtgate.startApiServer()
  const dispatcher = new Agent({ connect: { ca: virtgate.certificates.current().ca } })
  const url = `https://127.0.0.1:${portsOf(server).api}/readyz`
  await eventually('it is ready', 30_000, async () => {
    const { statusCode, body } = await request(url, { dispatcher })
    await body.dump()
    return statusCode === 200
  })
  const tookMs = Math.round(performance.now() - before)
  const busyMs = await busyMsOf(server.pid)
  await dispatcher.close()
  virtgate.apiServers.splice(virtgate.apiServers.indexOf(server), 1)
  await server.stop()
  return { tookMs, busyMs }
}

async function busyMsOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8')
  // After the name, which may hold spaces: utime and stime are the twelfth and thirteenth from there.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

function median(values: number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0
}

/** Leaves one API server, to which everything comes. */
async function retire({ apiServers }: Installation, kept: RoleProcess): Promise<void> {
  const others = apiServers.splice(0, apiServers.length, kept).filter((one) => one !== kept)
  for (const other of others) await other.stop()
}

async function createVms({ admin }: ControlPlane): Promise<void> {
  let next = 0
  const create = async (): Promise<void> => {
    for (let at = next++; at < VMS; at = next++) {
      const name = `vm-${at}`
      await admin.client.call({ method: 'POST', path: paths(name).vms, body: helloVm(name) })
    }
  }
  await Promise.all(Array.from({ length: 8 }, create))
}

/** Consoles of two guests; no VM takes all of them. */
async function openStreams({ admin }: ControlPlane): Promise<void> {
  const names = ['vm-0', 'vm-1']
  for (const name of names) {
    await admin.client.call({ method: 'PUT', path: paths(name).onVm('start'), body: {} })
    await awaitPhase(admin.client, name, 'Running')
  }
  for (let count = 0; count < STREAMS; count++) {
    await openConsole(admin.client, names[count % names.length] ?? '')
  }
}

async function printMemory(when: string, { pid }: RoleProcess, targetMib: number): Promise<void> {
  const { rss } = await memoryOf(pid)
  print(`RSS ${when}, MiB`, Number(mebibytes(rss)), targetMib)
}

function print(what: string, value: number, target: number): void {
  process.stdout.write(`| ${what} | ${value} | ≤ ${target} | ${value <= target ? 'yes' : 'no'} |\n`)
}

await main()
process.exit(0)
