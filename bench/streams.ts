/**
 * How fast bytes go between a client and a guest's console or display, and what that costs our processes, beside bare
 * pipes to the same guest. Run it with `npx node bench/streams.ts`; what it printed last, and what it means, stands in
 * README.md. With `VIRTGATE_BENCH_PROFILE` naming a directory, each process leaves a CPU profile there.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { roleUri } from '../certs/roles.ts'
import { FLAGS } from '../src/node.mjs'
import { BASE } from '../test/helpers/api.ts'
import { makeAuthority, servingPair } from '../test/helpers/pki.ts'
import { receive, transmit, type Way } from './stream-client.ts'
import type { Role, Serving, Usage } from './stream-process.ts'

const ROUNDS = Number(process.env['VIRTGATE_BENCH_ROUNDS'] ?? 9)
const MIB = 1024 * 1024
/** Less than a console may be behind with. */
const BYTES = 96 * MIB
const TARGET = 0.7
const WORKER = roleUri({ role: 'worker', node: 'n1' })
const SERVER = roleUri({ role: 'apiserver' })

/** A process that serves. */
interface Part extends AsyncDisposable {
  serving: Serving
  usage(): Promise<Usage>
}

/** A way to the guest, and the processes on it. */
interface Line {
  name: string
  way: Way
  parts: Part[]
  /** What it is compared with: bare TLS to the same port. Absent: it is that. */
  bare?: Line
}

/** One direction of one way, by rounds. */
interface Sample {
  mibPerSecond: number
  /** Of the processes between client and guest. */
  cpuMsPerMib: number
}

type Direction = 'out' | 'in'

async function start(role: Role): Promise<Part> {
  const directory = process.env['VIRTGATE_BENCH_PROFILE']
  const profile = directory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${directory}/${role.role}`]
  const execArgv = [...FLAGS, ...profile]
  const child = fork(new URL('./stream-process.ts', import.meta.url), { execArgv })
  const exited = once(child, 'exit')
  const ended = exited.then(([code]) => {
    throw new Error(`the process that is to be ${role.role} ended with ${code}`)
  })
  const answer = async () => (await Promise.race([once(child, 'message'), ended]))[0]
  ended.catch(() => {})
  child.send(role)
  const serving: Serving = await answer()
  return {
    serving,
    async usage() {
      child.send('usage')
      return answer()
    },
    async [Symbol.asyncDispose]() {
      child.disconnect()
      await exited
    },
  }
}

async function measure({ way, parts }: Line, direction: Direction): Promise<Sample> {
  const before = await Promise.all(parts.map((part) => part.usage()))
  const ms = await (direction === 'out' ? receive : transmit)(way, BYTES)
  const after = await Promise.all(parts.map((part) => part.usage()))
  const cpuMs = sum(after.map((usage) => usage.cpuMs)) - sum(before.map((usage) => usage.cpuMs))
  return { mibPerSecond: BYTES / MIB / (ms / 1000), cpuMsPerMib: cpuMs / (BYTES / MIB) }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN
}

/** All ways in turn, round by round, so that what else the machine does hits all of them. */
async function sampleAll(lines: readonly Line[]): Promise<Map<Line, Record<Direction, Sample>>> {
  const samples = lines.map((line) => ({ line, out: [] as Sample[], in: [] as Sample[] }))
  for (let round = -1; round < ROUNDS; round += 1) {
    for (const { line, ...taken } of samples) {
      for (const direction of ['out', 'in'] as const) {
        const sample = await measure(line, direction)
        // The first round is for the compilers.
        if (round >= 0) taken[direction].push(sample)
      }
    }
  }
  return new Map(
    samples.map(({ line, ...taken }) => [line, { out: middle(taken.out), in: middle(taken.in) }]),
  )
}

function middle(samples: readonly Sample[]): Sample {
  return {
    mibPerSecond: median(samples.map(({ mibPerSecond }) => mibPerSecond)),
    cpuMsPerMib: median(samples.map(({ cpuMsPerMib }) => cpuMsPerMib)),
  }
}

function cellsOf({ mibPerSecond, cpuMsPerMib }: Sample, bare: Sample): string[] {
  return [
    mibPerSecond.toFixed(0),
    `${((100 * mibPerSecond) / bare.mibPerSecond).toFixed(0)} %`,
    cpuMsPerMib.toFixed(2),
  ]
}

/** Of the columns after the name. */
const WIDTHS = [17, 7, 10, 15, 7, 10]

function print(results: Map<Line, Record<Direction, Sample>>): void {
  process.stdout.write(
    '|                         | from guest, MiB/s | of bare | CPU ms/MiB | to guest, MiB/s | of bare | CPU ms/MiB |\n' +
      '| ----------------------- | ----------------: | ------: | ---------: | --------------: | ------: | ---------: |\n',
  )
  const bareOf = (line: Line): Record<Direction, Sample> => results.get(line.bare ?? line)!
  for (const [line, { out, in: into }] of results) {
    const bare = bareOf(line)
    const cells = [...cellsOf(out, bare.out), ...cellsOf(into, bare.in)]
    const padded = cells.map((cell, index) => cell.padStart(WIDTHS[index] ?? 0))
    process.stdout.write(`| ${[line.name.padEnd(23), ...padded].join(' | ')} |\n`)
  }
  const reached = [...results]
    .filter(([{ name }]) => name.endsWith('one hop'))
    .flatMap(([line, { out, in: into }]) => [
      out.mibPerSecond / bareOf(line).out.mibPerSecond,
      into.mibPerSecond / bareOf(line).in.mibPerSecond,
    ])
  const least = Math.min(...reached)
  process.stdout.write(
    `\n${ROUNDS} rounds of ${BYTES / MIB} MiB; on one hop at least ${(100 * least).toFixed(0)} % of bare TLS, ` +
      `target ${100 * TARGET} %: ${least >= TARGET ? 'met' : 'missed'}\n`,
  )
}

async function main(): Promise<void> {
  const authority = await makeAuthority()
  const ca = authority.cert
  const serving = await servingPair(authority)
  const pairOf = async (uri: string) => ({ ...(await authority.issue({ usage: 'both', uris: [uri] })), ca })
  await using near = await start({ role: 'both', serving })
  await using worker = await start({ role: 'worker', tls: await pairOf(WORKER), callerUri: SERVER })
  const { vmi, ports } = worker.serving
  await using api = await start({
    role: 'api',
    serving,
    vmi,
    port: ports['rpc'] ?? 0,
    tls: await pairOf(SERVER),
    workerUri: WORKER,
  })
  const line = (name: string, part: Part, port: string, path?: string, bare?: Line): Line => ({
    name,
    way: { port: part.serving.ports[port] ?? 0, ca, ...(path !== undefined && { path }) },
    parts: part === api ? [api, worker] : [part],
    ...(bare && { bare }),
  })
  const pathOf = (stream: string): string => `${BASE}/virtualmachineinstances/vm1/${stream}`
  const display = line('display, bare TLS', near, 'tls')
  const serial = line('serial port, bare TLS', near, 'serialTls')
  print(
    await sampleAll([
      display,
      line('display, bare WebSocket', near, 'webSocket', '/', display),
      line('VNC, one hop', near, 'api', pathOf('vnc'), display),
      line('VNC, two hops', api, 'api', pathOf('vnc'), display),
      serial,
      line('serial, bare WebSocket', near, 'serialWebSocket', '/', serial),
      line('console, one hop', near, 'api', pathOf('console'), serial),
      line('console, two hops', api, 'api', pathOf('console'), serial),
    ]),
  )
}

await main()
