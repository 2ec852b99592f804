/**
 * Admission reviews per second over TLS keep-alive, and how long one takes: one server process, asked from another, beside
 * answers to the same bodies that are parsed and no more, in turns.
 * Run it with `npx node bench/admission.ts`.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { FLAGS } from '../src/node.mjs'
import { BARE_PATH } from './admission-bare.ts'
import { readTargets, reviewOf, type Target } from '../test/helpers/vectors.ts'

const CONNECTIONS = 8
/** V8 goes on compiling for some seconds. */
const WARM_UP_MS = 6000
const ROUND_MS = 2000
const ROUNDS = 5
const BODIES = ['cirros', 'multinet', 'efi', 'pinned']
const REVIEWS = [
  ['VMI validate', 'vmi-'],
  ['VMI mutate', 'vmi-mutate-'],
  ['VM validate', 'vm-'],
  ['VM mutate', 'vm-mutate-'],
] as const

interface Server {
  process: ChildProcess
  port: number
  ca: string
}

interface Round {
  count: number
  seconds: number
  /** Of the server: CPU time for one review. */
  cpuMicros: number
  latenciesMs: number[]
}

async function startServer(): Promise<Server> {
  const child = fork(new URL('admission-server.ts', import.meta.url), { execArgv: [...FLAGS] })
  // The first thing it says.
  const [said] = (await once(child, 'message')) as [{ port: number; ca: string }]
  return { process: child, ...said }
}

/** CPU time of the server so far. */
async function usageMicros({ process: child }: Server): Promise<number> {
  child.send('usage')
  const [{ usage }] = (await once(child, 'message')) as [{ usage: NodeJS.CpuUsage }]
  return usage.user + usage.system
}

/** A review as bytes on the wire. */
function requestOf(target: Target, path: string): Buffer {
  const body = JSON.stringify(reviewOf(target, target.object))
  const head = ['POST', `${path}?timeout=10s`, 'HTTP/1.1\r\nHost: localhost\r\nContent-Type:']
  return Buffer.from(
    `${head.join(' ')} application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

/** Sends one request and reads its answer; bare, so that the load costs less than what it measures. */
function ask(socket: TLSSocket, request: Buffer): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let answer = ''
  const onData = (chunk: string): void => {
    answer += chunk
    const end = answer.indexOf('\r\n\r\n')
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(answer)?.[1])
    if (end === -1 || answer.length < end + 4 + length) return
    socket.off('data', onData)
    socket.off('error', reject)
    resolve(answer)
  }
  socket.on('data', onData)
  socket.on('error', reject)
  socket.write(request)
  return promise
}

async function askUntil(
  socket: TLSSocket,
  requests: Buffer[],
  deadline: number,
  latenciesMs: number[],
): Promise<void> {
  for (let turn = 0; performance.now() < deadline; turn++) {
    const request = requests[turn % requests.length] ?? Buffer.alloc(0)
    const startMs = performance.now()
    const answer = await ask(socket, request)
    latenciesMs.push(performance.now() - startMs)
    if (!answer.startsWith('HTTP/1.1 200 ') || !answer.includes('"allowed":')) throw new Error(answer)
  }
}

async function round(
  server: Server,
  sockets: TLSSocket[],
  requests: Buffer[],
  forMs: number,
): Promise<Round> {
  const latenciesMs: number[] = []
  const before = await usageMicros(server)
  const startMs = performance.now()
  await Promise.all(sockets.map((socket) => askUntil(socket, requests, startMs + forMs, latenciesMs)))
  const seconds = (performance.now() - startMs) / 1000
  const cpuMicros = ((await usageMicros(server)) - before) / latenciesMs.length
  return { count: latenciesMs.length, seconds, cpuMicros, latenciesMs }
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

/** The most that was reached: what is less was somebody else's doing. */
function rateOf(rounds: readonly Round[]): number {
  return Math.max(...rounds.map(({ count, seconds }) => count / seconds))
}

function cpuOf(rounds: readonly Round[]): number {
  return Math.min(...rounds.map(({ cpuMicros }) => cpuMicros))
}

function line(name: string, rounds: readonly Round[], bare: readonly Round[]): string {
  const latencies = rounds.flatMap(({ latenciesMs }) => latenciesMs).toSorted((one, other) => one - other)
  const cpu = cpuOf(rounds)
  const cells = [
    rateOf(rounds).toFixed(0),
    percentile(latencies, 0.5).toFixed(2),
    percentile(latencies, 0.99).toFixed(2),
    cpu.toFixed(0),
    (1e6 / cpu).toFixed(0),
    (cpu / cpuOf(bare)).toFixed(2),
  ]
  return `| ${[name.padEnd(12), ...cells.map((cell) => cell.padStart(9))].join(' | ')} |\n`
}

async function main(): Promise<void> {
  const targets = readTargets()
  const server = await startServer()
  const sockets = await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const socket = connect({ port: server.port, host: '127.0.0.1', servername: 'localhost', ca: server.ca })
      await once(socket, 'secureConnect')
      return socket.setEncoding('latin1').setNoDelay()
    }),
  )
  process.stdout.write(
    '| review       |  a second |    p50 ms |    p99 ms |    CPU µs | a CPU sec | × bare    |\n' +
      '| ------------ | --------: | --------: | --------: | --------: | --------: | --------: |\n',
  )
  for (const [name, prefix] of REVIEWS) {
    const named = BODIES.flatMap((body) => targets[`${prefix}${body}`] ?? [])
    const requests = named.map((target) => requestOf(target, target.path))
    const bareRequests = named.map((target) => requestOf(target, BARE_PATH))
    await round(server, sockets, requests, WARM_UP_MS)
    await round(server, sockets, bareRequests, WARM_UP_MS)
    const [rounds, bare]: [Round[], Round[]] = [[], []]
    for (let turn = 0; turn < ROUNDS; turn++) {
      rounds.push(await round(server, sockets, requests, ROUND_MS))
      bare.push(await round(server, sockets, bareRequests, ROUND_MS))
    }
    process.stdout.write(line(name, rounds, bare))
    process.stdout.write(line('  bare', bare, bare))
  }
  for (const socket of sockets) socket.destroy()
  server.process.disconnect()
}

await main()
